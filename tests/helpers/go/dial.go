// SPDX-License-Identifier: Apache-2.0

// dial HOST PORT COUNT: dials as a Go program does, and prints a line for each dial: the answer, or what went wrong.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

func dial(host, port string) (string, error) {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), 10*time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	fmt.Fprint(conn, "who\n")
	return bufio.NewReader(conn).ReadString('\n')
}

// As the dialer of C says it.
func nameOf(err error) string {
	var dns *net.DNSError
	var number syscall.Errno
	switch {
	case errors.As(err, &dns):
		return "NONAME\n"
	case errors.As(err, &number) && number == syscall.ECONNREFUSED:
		return "ECONNREFUSED\n"
	default:
		return "not connected: " + err.Error() + "\n"
	}
}

func main() {
	count, _ := strconv.Atoi(os.Args[3])
	failed := 0
	for i := 0; i < count; i++ {
		answer, err := dial(os.Args[1], os.Args[2])
		if err != nil {
			answer = nameOf(err)
			failed = 1
		}
		fmt.Print(answer)
	}
	os.Exit(failed)
}

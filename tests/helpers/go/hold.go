// SPDX-License-Identifier: Apache-2.0

// hold ADDRESS PORT: dials IPv4 by the system calls that Go makes itself, prints "ready", and keeps the connection until its
// stdin ends. Without the packages net and fmt, which take their time to build.
package main

import (
	"os"
	"syscall"
)

// The next decimal number, and what follows it and one more byte.
func number(text string) (value int, rest string) {
	for i := 0; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			return value, text[i+1:]
		}
		value = value*10 + int(text[i]-'0')
	}
	return value, ""
}

func main() {
	to := &syscall.SockaddrInet4{}
	address, part := os.Args[1], 0
	for i := range to.Addr {
		part, address = number(address)
		to.Addr[i] = byte(part)
	}
	to.Port, _ = number(os.Args[2])
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		err = syscall.Connect(fd, to)
	}
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
	os.Stdout.WriteString("ready\n")
	os.Stdin.Read(make([]byte, 1))
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A kubeconfig, JSON or YAML. A refusal is one line, and never has the token of the file in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/kube_config.h"
#include "base/report.h"
#include "fuzz/fuzz.h"

#define SECRET "s3cr3t-t0k3n" /* which the corpus has */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kube_config config = { 0 };
	struct report why = { .text = "" };
	char path[64];
	int fd = memfd_create("kubeconfig", MFD_CLOEXEC), r;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = kube_config_load(path, &config, &why);
	if (r < 0)
		FUZZ_HOLDS(why.text[0] && !strchr(why.text, '\n') && !strstr(why.text, SECRET));
	else
		FUZZ_HOLDS(config.server && config.description && !strstr(config.description, SECRET));
	kube_config_done(&config);
	close(fd);
	return 0;
}

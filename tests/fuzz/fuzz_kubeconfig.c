/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kubeconfig, JSON or YAML. A refusal is one line, and never has the token or the password of the file in it; what is taken can
 * be used as kube_config.h says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/report.h"
#include "fuzz/fuzz.h"
#include "kube/config.h"

#define SECRET "s3cr3t-t0k3n" /* which the corpus has */

/* Whether the word stands where only a token stands: elsewhere it may be a name, which errors tell. */
static bool is_token(const char *text)
{
	static const char *const before[] = { "token: ", "token: \"", "token\": \"", "password: ", "password\": \"" };
	const char *at = strstr(text, SECRET);

	if (!at || strstr(at + 1, SECRET))
		return false;
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		size_t len = strlen(before[i]);

		if ((size_t)(at - text) >= len && memcmp(at - len, before[i], len) == 0)
			return true;
	}
	return false;
}

static void hold_data(const void *bytes, size_t size, const char *file)
{
	FUZZ_HOLDS(!bytes || (((const char *)bytes)[size] == '\0' && !file));
	FUZZ_HOLDS(bytes || size == 0);
}

static void hold(const struct kube_config *config, bool may_tell)
{
	size_t len;

	FUZZ_HOLDS(config->server && config->description && (may_tell || !strstr(config->description, SECRET)));
	len = strlen(config->server);
	FUZZ_HOLDS(strncmp(config->server, "https://", 8) == 0 || strncmp(config->server, "http://", 7) == 0);
	FUZZ_HOLDS(config->server[len - 1] != '/');
	hold_data(config->ca_data, config->ca_size, config->ca_file);
	hold_data(config->cert_data, config->cert_size, config->cert_file);
	hold_data(config->key_data, config->key_size, config->key_file);
	kube_config_is_local(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kube_config config = { 0 };
	struct report why = { .text = "" };
	char path[64];
	char *text = fuzz_copy(data, size, true);
	bool may_tell = !is_token(text);
	int fd = memfd_create("kubeconfig", MFD_CLOEXEC), r;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = kube_config_load(path, &config, &why);
	if (r < 0)
		FUZZ_HOLDS(why.text[0] && !strchr(why.text, '\n') && (may_tell || !strstr(why.text, SECRET)));
	else
		hold(&config, may_tell);
	kube_config_done(&config);
	FUZZ_HOLDS(!config.server && !config.token && !config.key_data);
	close(fd);
	free(text);
	return 0;
}

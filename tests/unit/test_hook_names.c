/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hooks of names where no libc stands behind them: whoever asks is told at once, and for good, that there is no resolver. The
 * source is included, with what it finds behind itself in the test's hands.
 */
#include "support/testing.h"

#include <errno.h>
#include <netdb.h>

#include "support/cleanup.h"

#define next_functions	 next_of_test
#define getaddrinfo	 hook_getaddrinfo
#define gethostbyname	 hook_gethostbyname
#define gethostbyname2	 hook_gethostbyname2
#define gethostbyname_r	 hook_gethostbyname_r
#define gethostbyname2_r hook_gethostbyname2_r

int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
		struct addrinfo **restrict res);
struct hostent *gethostbyname(const char *name);
struct hostent *gethostbyname2(const char *name, int family);
int gethostbyname_r(const char *restrict name, struct hostent *restrict host, char *restrict buf, size_t size,
		    struct hostent **restrict result, int *restrict h_error);
int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict host, char *restrict buf, size_t size,
		     struct hostent **restrict result, int *restrict h_error);

#include "shim/hook_names.c"

const struct next *next_of_test(void)
{
	static const struct next nothing;

	return &nothing;
}

static void list_of_addresses_cannot_be_had(void **state)
{
	struct addrinfo *list = (struct addrinfo *)state;

	assert_int_equal(getaddrinfo("web", "80", NULL, &list), EAI_FAIL);
	assert_ptr_equal(list, state);
}

static void host_cannot_be_had(void **state)
{
	(void)state;
	h_errno = 0;
	assert_null(gethostbyname("web"));
	assert_int_equal(h_errno, NO_RECOVERY);
	h_errno = 0;
	assert_null(gethostbyname2("web", AF_INET6));
	assert_int_equal(h_errno, NO_RECOVERY);
}

static void host_in_a_buffer_cannot_be_had(void **state)
{
	struct hostent host, *result = &host;
	char buf[64];
	int error = 0;

	(void)state;
	assert_int_equal(gethostbyname_r("web", &host, buf, sizeof(buf), &result, &error), ENOSYS);
	assert_null(result);
	assert_int_equal(error, NO_RECOVERY);
	result = &host;
	error = 0;
	assert_int_equal(gethostbyname2_r("web", AF_INET6, &host, buf, sizeof(buf), &result, &error), ENOSYS);
	assert_null(result);
	assert_int_equal(error, NO_RECOVERY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(list_of_addresses_cannot_be_had),
		TEST(host_cannot_be_had),
		TEST(host_in_a_buffer_cannot_be_had),
	};

	return RUN_TESTS(tests);
}

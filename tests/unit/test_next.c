/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next functions where there is less of a libc than here: none at all, an old one whose dlsym is in a library of its own, or
 * another object in front of dlsym. The source is included, with what it finds by weak references in the test's hands.
 */
#include "support/testing.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/settings.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

/* NULL where the libc of a test does not have it. */
extern void *(*has_dlsym)(void *handle, const char *name);
extern void *(*has_dlopen)(const char *path, int mode);
extern int (*has_dladdr)(const void *address, Dl_info *ret_info);

static void *(*const real_dlsym)(void *, const char *) = dlsym;
static void *(*const real_dlopen)(const char *, int) = dlopen;
static int (*const real_dladdr)(const void *, Dl_info *) = dladdr;

#define dlsym has_dlsym
#define dlopen has_dlopen
#define dladdr has_dladdr
#define _dl_sym libc_dl_sym
#define _dl_addr libc_dl_addr
#include "shim/next.c"

void *(*has_dlsym)(void *handle, const char *name);
void *(*has_dlopen)(const char *path, int mode);
int (*has_dladdr)(const void *address, Dl_info *ret_info);

/* ---- what stands for a libc ---- */

static bool has_dl_sym;
static const char *told_path; /* by libc_dl_addr; NULL: it does not know */

static void *libc_handle(void)
{
	void *handle = real_dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

	assert_non_null(handle);
	return handle;
}

static void *in_libc(const char *name)
{
	return real_dlsym(libc_handle(), name);
}

void *libc_dl_sym(void *handle, const char *name, void *who)
{
	assert_ptr_equal(handle, RTLD_NEXT);
	assert_true(is_own(who)); /* next to whom */
	return has_dl_sym ? in_libc(name) : NULL;
}

int libc_dl_addr(const void *address, Dl_info *ret_info, void **ret_map, void **ret_symbol)
{
	assert_true(is_own(address));
	assert_true(!ret_map && !ret_symbol);
	ret_info->dli_fname = told_path;
	return told_path != NULL;
}

/* Another object's dlsym: what comes after that one is a function of ours. A handle means the same whoever asks. */
static void *dlsym_in_front(void *handle, const char *name)
{
	return handle == RTLD_NEXT ? (void *)dlsym_in_front : real_dlsym(handle, name);
}

static int dladdr_of_libc(const void *address, Dl_info *ret_info)
{
	return real_dladdr(address, ret_info);
}

/* No libc: nothing is found. */
static void forget_all(void)
{
	has_dlsym = NULL;
	has_dlopen = NULL;
	has_dladdr = NULL;
	has_dl_sym = false;
	told_path = NULL;
	memset(&found, 0, sizeof(found));
	looked_up = 0;
}

/* ---- calls ---- */

static void assert_fails(long r, int error)
{
	assert_int_equal(r, -1);
	assert_int_equal(errno, error);
	errno = 4711;
}

static void without_a_libc_errors_are_told_as_a_libc_tells_them(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct mmsghdr many = { 0 };
	struct msghdr one = { 0 };

	(void)state;
	forget_all();
	errno = 4711;
	assert_fails(next_connect(-1, (struct sockaddr *)&to, sizeof(to)), EBADF);
	assert_fails(next_sendto(-1, "a", 1, 0, NULL, 0), EBADF);
	assert_fails(next_sendmsg(-1, &one, 0), EBADF);
	assert_fails(next_sendmmsg(-1, &many, 1, 0), EBADF);
	assert_null(next_functions()->connect);
}

static void dial_of_ours_has_the_kernels_result_and_leaves_errno(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct msghdr one = { 0 };

	(void)state;
	forget_all();
	errno = 4711;
	assert_int_equal(next_dial(-1, (struct sockaddr *)&to, sizeof(to)), -EBADF);
	assert_int_equal(next_send_flat(-1, "a", 1, 0, NULL, 0), -EBADF);
	assert_int_equal(next_send(-1, &one, 0), -EBADF);
	next_test_cancel(); /* where nobody is cancelled */
	assert_int_equal(errno, 4711);
}

static void without_a_libc_the_kernel_sends(void **state)
{
	struct iovec part = { (void *)"b", 1 };
	struct msghdr one = { .msg_iov = &part, .msg_iovlen = 1 };
	struct mmsghdr many[2] = { { .msg_hdr = one }, { .msg_hdr = one } };
	char bytes[8] = "";
	int ends[2];

	(void)state;
	forget_all();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	close_after_test(ends[0]);
	close_after_test(ends[1]);
	assert_int_equal(next_sendto(ends[0], "a", 1, 0, NULL, 0), 1);
	assert_int_equal(next_sendmsg(ends[0], &one, 0), 1);
	assert_int_equal(next_sendmmsg(ends[0], many, 2, 0), 2);
	assert_int_equal(recv(ends[1], bytes, 4, MSG_WAITALL), 4);
	assert_string_equal(bytes, "abbb");
}

static void without_a_libc_the_kernel_connects(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, peer;
	int server = close_after_test(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	int client = close_after_test(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	socklen_t len = sizeof(at);

	(void)state;
	forget_all();
	assert_int_equal(bind(server, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(next_connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
	len = sizeof(peer);
	assert_int_equal(getpeername(client, (struct sockaddr *)&peer, &len), 0);
	assert_int_equal(peer.sin_port, at.sin_port);
	assert_fails(next_connect(client, (struct sockaddr *)&at, sizeof(at)), EISCONN);
}

/* ---- who is found ---- */

/* glibc before 2.34, in a program that does not load libdl. */
static void libc_without_dlsym_is_asked_from_within(void **state)
{
	(void)state;
	forget_all();
	has_dl_sym = true;
	assert_ptr_equal(next_functions()->connect, in_libc("connect"));
	assert_ptr_equal(next_functions()->getaddrinfo, in_libc("getaddrinfo"));
	assert_ptr_equal(next_functions()->gethostbyname_r, in_libc("gethostbyname_r"));
	errno = 0;
	assert_fails(next_connect(-1, NULL, 0), EBADF);
	assert_fails(next_sendto(-1, "a", 1, 0, NULL, 0), EBADF);
	assert_fails(next_sendmsg(-1, &(struct msghdr){ 0 }, 0), EBADF);
	assert_fails(next_sendmmsg(-1, &(struct mmsghdr){ 0 }, 1, 0), EBADF);
	assert_int_equal(next_dial(-1, NULL, 0), -EBADF);
}

static void function_of_our_own_is_never_the_next_one(void **state)
{
	(void)state;
	forget_all();
	has_dlsym = dlsym_in_front;
	has_dlopen = real_dlopen;
	has_dladdr = dladdr_of_libc;
	assert_ptr_equal(next_functions()->connect, in_libc("connect"));
	assert_ptr_equal(next_functions()->sendmmsg, in_libc("sendmmsg"));
	/* Where nobody says which file the libc is, the call is the kernel's. */
	forget_all();
	has_dlsym = dlsym_in_front;
	assert_null(next_functions()->connect);
	errno = 0;
	assert_fails(next_connect(-1, NULL, 0), EBADF);
}

/* ---- the shim's own file ---- */

static void file_of_the_shim_is_told_by_whichever_part_of_the_libc_is_there(void **state)
{
	(void)state;
	forget_all();
	assert_null(next_shim_path());
	told_path = "/from/within/libfairdial.so";
	assert_string_equal(next_shim_path(), told_path);
	has_dladdr = dladdr_of_libc; /* the one for everybody comes first */
	assert_non_null(strstr(next_shim_path(), "test_next"));
}

/* What the settings have of it. */
static const struct settings *beside_with_preload(const char *preload)
{
	static struct settings s;

	setenv("LD_PRELOAD", preload, 1);
	settings_read(&s);
	unsetenv("LD_PRELOAD");
	return &s;
}

static void where_the_libc_does_not_tell_it_is_found_in_what_was_preloaded(void **state)
{
	const char *dir = scratch_dir(), *shim = format("%s/libfairdial.so", dir), *run = format("%s/run", dir);
	const struct settings *s;

	(void)state;
	forget_all();
	write_file(shim, "", 0);
	s = beside_with_preload(shim);
	assert_string_equal(s->beside, run);
	assert_int_equal(s->shim_uid, geteuid());
	assert_string_equal(beside_with_preload(format("/lib/libother.so:%s", shim))->beside, run);
	assert_string_equal(beside_with_preload(format("libother.so %s  /lib/last.so", shim))->beside, run);
	assert_string_equal(beside_with_preload(format("%s.1::%s:", shim, shim))->beside, run);
}

static void file_that_nobody_names_has_nothing_beside_it(void **state)
{
	const char *missing = format("%s/libfairdial.so", scratch_dir());
	const char *const lists[] = { "", "libfairdial.so", "/lib/libother.so", "/lib/xlibfairdial.so", missing };

	(void)state;
	forget_all();
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const struct settings *s = beside_with_preload(lists[i]);

		assert_string_equal(s->beside, "");
		assert_int_equal(s->shim_uid, UINT32_MAX);
	}
}

/* A file of a short name, where the directory alone leaves no room for what is beside it. */
static void path_without_room_for_what_is_beside_it_is_none(void **state)
{
	char path[SETTINGS_PATH + 1];
	const char *dir = scratch_dir();
	size_t len;

	(void)state;
	forget_all();
	write_file(format("%s/f", dir), "", 0);
	for (len = SETTINGS_PATH - 4; len <= SETTINGS_PATH; len++) { /* any number of slashes is one */
		snprintf(path, sizeof(path), "%s", dir);
		memset(path + strlen(dir), '/', len - 1 - strlen(dir));
		path[len - 1] = 'f';
		path[len] = '\0';
		told_path = path;
		if (len - 1 + strlen("run") < SETTINGS_PATH)
			assert_int_equal(strlen(beside_with_preload("")->beside), len - 1 + strlen("run"));
		else
			assert_string_equal(beside_with_preload("")->beside, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_libc_errors_are_told_as_a_libc_tells_them),
		TEST(dial_of_ours_has_the_kernels_result_and_leaves_errno),
		TEST(without_a_libc_the_kernel_sends),
		TEST(without_a_libc_the_kernel_connects),
		TEST(libc_without_dlsym_is_asked_from_within),
		TEST(function_of_our_own_is_never_the_next_one),
		TEST(file_of_the_shim_is_told_by_whichever_part_of_the_libc_is_there),
		TEST(where_the_libc_does_not_tell_it_is_found_in_what_was_preloaded),
		TEST(file_that_nobody_names_has_nothing_beside_it),
		TEST(path_without_room_for_what_is_beside_it_is_none),
	};

	return RUN_TESTS(tests);
}

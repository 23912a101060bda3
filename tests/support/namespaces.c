/* SPDX-License-Identifier: Apache-2.0 */
#include "support/namespaces.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <unistd.h>

#include "support/process.h"
#include "support/services.h"
#include "support/testing.h"
#include "support/tun.h"

struct process *run_with_hosts(const char *const *env, const char *hosts, const char *command)
{
	const char *unshare = geteuid() ? "unshare -rm" : "unshare -m", *file = format("%s/hosts", scratch_dir());
	const char *mount = format("mount --bind %s /etc/hosts && mount --bind /dev/null /etc/resolv.conf", file);
	struct process *p;

	write_file(file, hosts, strlen(hosts));
	p = run_shell(NULL, "%s sh -c '%s'", unshare, mount);
	if (p->exit_status)
		skip_because("cannot put another file over /etc/hosts: %s", p->err_text);
	return run_shell(env, "exec %s sh -c '%s && exec %s'", unshare, mount, command);
}

void need_network_namespace(void)
{
	static bool done;

	done = done || getenv("FAIRDIAL_TEST_UNSHARED");
	if (!done && (unshare(CLONE_NEWNET) || bring_up("lo", NULL)))
		skip_because("no network namespace of its own: %s", strerror(errno));
	done = true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial inject: Kubernetes objects in, the same objects with fairdial in their pods out, or without it again. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "inject/documents.h"
#include "inject/inject.h"
#include "inject/wishes.h"

enum { OPT_REMOVE, OPT_ROLE, OPT_IMAGE, OPT_PULL_POLICY, OPT_MODE, OPT_METRICS, OPT_EXISTING };

static const struct cli_option options[] = {
	[OPT_REMOVE] = { "remove", NULL, "take fairdial out again" },
	[OPT_ROLE] = { "role", NULL, "print instead the Roles and RoleBindings that they need" },
	[OPT_IMAGE] = { "image", "IMAGE", "of fairdial's containers (default: fairdial:" FAIRDIAL_VERSION ")" },
	[OPT_PULL_POLICY] = { "image-pull-policy", "WHEN", "Always, IfNotPresent or Never (default: the cluster's)" },
	[OPT_MODE] = { "mode", "MODE", "on, observe or off, where fairdial.dev/mode does not say" },
	[OPT_METRICS] = { "metrics", "PORT", "of the agent's /metrics, where fairdial.dev/metrics does not say (default: none)" },
	[OPT_EXISTING] = { "existing-preload", "PATH", "the LD_PRELOAD that the images set, to keep before ours" },
	{ 0 },
};

struct arguments {
	bool remove, role;
	struct inject_options inject;
};

/* What goes into the objects; no JSON has other texts in it. */
static bool is_text(const char *argument)
{
	json_t *text = json_string(argument);

	json_decref(text);
	return text && *argument;
}

static bool is_pull_policy(const char *policy)
{
	return strcmp(policy, "Always") == 0 || strcmp(policy, "IfNotPresent") == 0 || strcmp(policy, "Never") == 0;
}

static bool is_mode(const char *mode)
{
	return strcmp(mode, "on") == 0 || strcmp(mode, "observe") == 0 || strcmp(mode, "off") == 0;
}

static int parse(const struct verb *verb, int argc, char **argv, struct arguments *a)
{
	struct inject_options *o = &a->inject;
	const char *metrics = NULL;
	const char *adding = NULL; /* an option that only means something where fairdial is put in */
	int option;

	while ((option = cli_option(verb, argc, argv)) >= 0) {
		if (options[option].argument)
			adding = options[option].name;
		if (options[option].argument && !is_text(optarg))
			return cli_fail(verb, EXIT_USAGE, "--%s is empty, or no UTF-8: say one, or leave it out",
					options[option].name);
		switch (option) {
		case OPT_REMOVE: a->remove = true; break;
		case OPT_ROLE: a->role = true; break;
		case OPT_IMAGE: o->image = optarg; break;
		case OPT_PULL_POLICY: o->pull_policy = optarg; break;
		case OPT_MODE: o->mode = optarg; break;
		case OPT_METRICS: metrics = optarg; break;
		default: o->existing_preload = optarg; break;
		}
	}
	if (optind < argc)
		return cli_fail(verb, EXIT_USAGE, "unexpected argument '%s': objects are read from standard input",
				argv[optind]);
	if (a->remove && a->role)
		return cli_fail(verb, EXIT_USAGE, "--remove and --role exclude each other");
	if (adding && (a->remove || a->role))
		return cli_fail(verb, EXIT_USAGE, "--%s means nothing with --%s: leave it out", adding,
				a->role ? "role" : "remove");
	if (o->mode && !is_mode(o->mode))
		return cli_fail(verb, EXIT_USAGE, "--mode %s: expected on, observe or off", o->mode);
	o->metrics = metrics ? wishes_port(metrics) : 0;
	if (metrics && !o->metrics)
		return cli_fail(verb, EXIT_USAGE, "--metrics %s: expected a port, 1024 to 65535", metrics);
	if (o->pull_policy && !is_pull_policy(o->pull_policy))
		return cli_fail(verb, EXIT_USAGE, "--image-pull-policy %s: expected Always, IfNotPresent or Never",
				o->pull_policy);
	return 0;
}

/* ---- in ---- */

/* jansson's: the objects are worked on as if there were always memory. */
static void *allocate(size_t size)
{
	void *memory = malloc(size);

	if (!memory) {
		fputs("fairdial inject: out of memory\n", stderr);
		exit(EXIT_FAILED);
	}
	return memory;
}

/* All of standard input; NULL and errno. */
static char *read_input(size_t *ret_length)
{
	char *text = NULL, buffer[65536];
	FILE *memory = open_memstream(&text, ret_length);
	size_t n;

	while (memory && !feof(stdin) && (n = fread(buffer, 1, sizeof(buffer), stdin)) > 0) /* one Ctrl-D is enough */
		fwrite(buffer, 1, n, memory);
	if (!memory || ferror(stdin) || fclose(memory) != 0)
		return NULL;
	return text;
}

/* ---- out ---- */

static void work(const struct arguments *a, struct documents *documents, struct troubles *troubles)
{
	json_t *roles;

	if (a->role) {
		roles = inject_roles(documents->objects, troubles);
		json_decref(documents->objects);
		documents->objects = json_pack("[o]", roles);
		return;
	}
	for (size_t i = 0; i < json_array_size(documents->objects); i++) {
		json_t *object = json_array_get(documents->objects, i);

		if (a->remove)
			inject_remove(object, troubles);
		else
			inject_add(object, &a->inject, troubles);
	}
}

static int print(const struct verb *verb, const struct documents *documents, const struct troubles *troubles)
{
	for (size_t i = 0; i < json_array_size(documents->objects); i++)
		documents_write(documents, json_array_get(documents->objects, i), stdout);
	if (cli_finish(verb, EXIT_DONE) != EXIT_DONE)
		return EXIT_FAILED;
	for (size_t i = 0; i < json_array_size(troubles->lines); i++)
		cli_fail(verb, EXIT_DONE, "%s", json_string_value(json_array_get(troubles->lines, i)));
	/* A chart may have none; who names one object means it to have one. */
	if (troubles->pods == 0)
		return cli_fail(verb, json_array_size(documents->objects) > 1 ? EXIT_DONE : EXIT_FAILED,
				"no object has pods: expected a Pod, Deployment, StatefulSet, DaemonSet, Job, CronJob or their "
				"like, or a List of them");
	return troubles->refused ? EXIT_FAILED : EXIT_DONE;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct arguments a = { .inject = { .image = "fairdial:" FAIRDIAL_VERSION } };
	struct documents documents;
	struct troubles troubles;
	struct report why;
	size_t length;
	char *text;
	int r = parse(verb, argc, argv, &a);

	if (r)
		return r;
	json_set_alloc_funcs(allocate, free);
	if (isatty(STDIN_FILENO)) /* else it seems to hang */
		cli_fail(verb, EXIT_DONE,
			 "reads objects in YAML or JSON from this terminal, up to Ctrl-D: or pipe them into it, as in "
			 "kubectl get deployment web -o yaml | fairdial inject");
	text = read_input(&length);
	if (!text)
		return cli_fail(verb, EXIT_FAILED, "cannot read standard input: %s", strerror(errno));
	if (documents_read(text, length, &documents, &why) < 0) {
		free(text);
		return cli_fail(verb, EXIT_FAILED, "%s", why.text);
	}
	troubles_init(&troubles);
	work(&a, &documents, &troubles);
	r = print(verb, &documents, &troubles);
	troubles_done(&troubles);
	documents_done(&documents);
	free(text);
	return r;
}

const struct verb inject_verb = {
	.name = "inject",
	.usage = "[OPTION...]\n--remove\n--role",
	.summary = "reads Kubernetes objects, and prints them with fairdial in their pods",
	.more = "  kubectl get deployment web -o yaml | fairdial inject --role | kubectl apply -f -\n"
	"  kubectl get deployment web -o yaml | fairdial inject | kubectl apply -f -\n"
	"  fairdial inject < web.yaml | kubectl apply -f -\n"
	"  helm template shop ./chart | fairdial inject | kubectl apply -f -\n\n"
	"Reads JSON where the first character that is not blank is { or [, and else YAML, as kubectl\n"
	"understands it; both may have several objects. Prints JSON, as many objects. Of several that came as\n"
	"YAML, each has a line --- before it, so that Helm takes this for a post-renderer.\n\n"
	"Pods get a container that installs the shim, and one that follows the API (a native sidecar:\n"
	"Kubernetes 1.29); their containers get the shim behind the LD_PRELOAD that their env sets. Not seen\n"
	"from here: an LD_PRELOAD of the image itself (--existing-preload), and whether its programs are\n"
	"static, so that nothing can be preloaded.\n\n"
	"Annotations of a pod, or of the template of pods:\n"
	"  fairdial.dev/inject            false, disabled: left alone\n"
	"  fairdial.dev/skip-containers   names of containers to leave out, with commas between\n"
	"  fairdial.dev/services          the Services to follow, instead of all of the namespace\n"
	"  fairdial.dev/mode              on, observe or off, for Services that do not say\n\n"
	"Injecting again updates; --remove gives back what there was, and leaves what was edited since. Both\n"
	"leave out what the server writes (status, resourceVersion, managedFields, uid, creationTimestamp,\n"
	"generation) and kubectl's copy of what was applied last. Other kinds, and objects that are refused,\n"
	"are printed as they were; what there is to say of an object is a line on standard error. The exit\n"
	"status is 1 where one was refused, or a single one has no pods.",
	.options = options,
	.run = run,
};

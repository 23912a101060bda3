/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory a large cluster takes in the model. In a program of its own, whose memory nothing else has used. */
#include "support/testing.h"

#include "model/model.h"
#include "support/kube_objects.h"
#include "support/models.h"

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || HAS_FEATURE(address_sanitizer) || \
	HAS_FEATURE(thread_sanitizer)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define SERVICES  10000
#define ENDPOINTS 10 /* of each */
#define LIMIT_KB  (40 * 1024)

/* Resident now, in KiB. */
static long resident_kb(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	long kb = -1;

	assert_non_null(status);
	while (kb < 0 && fgets(line, sizeof(line), status))
		sscanf(line, "VmRSS: %ld kB", &kb);
	fclose(status);
	assert_true(kb > 0);
	return kb;
}

/* As a cloud names its nodes and zones, and the controller the hints. */
static void tell_large(const struct teller *services, const struct teller *slices, unsigned i)
{
	char name[32], address[32], endpoints[4096];
	size_t len = 0;

	snprintf(name, sizeof(name), "service-of-a-team-%u", i);
	snprintf(address, sizeof(address), "172.16.%u.%u", i >> 8, i & 255);
	for (unsigned j = 0; j < ENDPOINTS; j++)
		len += (size_t)snprintf(endpoints + len, sizeof(endpoints) - len,
					"10.%u.%u.%u,r1,s1,t0,n=ip-10-0-%u-%u.eu-west-1.compute.internal,z=eu-west-1%c,"
					"hz=eu-west-1%c,p=%s-7d9f8c6b5-abc%02u ",
					j, i >> 8, i & 255, (i + j) % 7, (i * 10 + j) % 250, "abc"[j % 3], "abc"[j % 3],
					name, j);
	tell_service(services, name, address, "http:80 metrics:9100", NULL);
	tell_slice(slices, name, name, "http:8080 metrics:9100", endpoints);
}

static void tell_all(struct model *model)
{
	struct teller services = { .model = model, .origin = 1, .version = "1" }, slices = services;

	services.list = model_list_begin(model, KUBE_SERVICE, 1);
	slices.list = model_list_begin(model, KUBE_SLICE, 1);
	for (unsigned i = 0; i < SERVICES; i++)
		tell_large(&services, &slices, i);
	assert_int_equal(model_list_commit(services.list), 0);
	assert_int_equal(model_list_commit(slices.list), 0);
}

static void a_hundred_thousand_endpoints_listed_twice_fit_in_40_mib(void **state)
{
	const struct model_options options = { .node = "ip-10-0-1-1.eu-west-1.compute.internal",
					       .namespace = "shop", .pod = "me" };
	long before = resident_kb(), stored, listed;
	const struct spec *spec;
	struct model *model;

	(void)state;
	if (SANITIZED)
		skip_because("a sanitizer takes memory of its own");
	model = model_new(&options);
	tell_all(model);
	stored = resident_kb() - before;
	tell_all(model);
	listed = resident_kb() - before;
	printf("%ld KiB, listed again %ld KiB\n", stored, listed);
	assert_true(stored < LIMIT_KB);
	assert_true(listed < LIMIT_KB);
	spec = resolve(model);
	assert_int_equal(spec->service_count, SERVICES);
	assert_int_equal(spec->services[SERVICES - 1].ports[1].endpoint_count, ENDPOINTS);
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hundred_thousand_endpoints_listed_twice_fit_in_40_mib),
	};

	return RUN_TESTS(tests);
}

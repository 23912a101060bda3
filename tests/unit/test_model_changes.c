/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is resolved of a model that changes: the touched Services alone, or all. At random too: SEED=N runs the changes
 * of that number again, where one failed.
 */
#include "support/testing.h"

#include <errno.h>
#include <time.h>

#include "model/model.h"
#include "model/policy.h"
#include "support/kube_objects.h"
#include "support/models.h"

#define WEB "web.shop own 10.96.0.1\n"

static struct model *web_and_api(void)
{
	struct model *model = new_model();

	put_service(model, "web", "10.96.0.1", ":80", NULL);
	put_service(model, "api", "10.96.0.2", ":80", NULL);
	put_slice(model, "web-1", "web", ":8080", "10.0.0.1");
	put_slice(model, "api-1", "api", ":8080", "10.0.1.1");
	assert_true(model_is_touched(model));
	resolve(model);
	assert_false(model_is_touched(model));
	return model;
}

/* That just this has changed. */
static void assert_changed(struct model *model, const char *expected)
{
	struct report report = { "" };
	struct spec *spec;
	char *text;

	assert_int_equal(model_resolve_changed(model, &spec, &report), 0);
	text = spec_text(spec);
	assert_string_equal(text, expected);
	free(text);
	assert_false(model_is_touched(model));
}

static void assert_stale(struct model *model)
{
	struct report report = { "" };
	struct spec *spec = NULL;

	assert_true(model_is_touched(model));
	assert_int_equal(model_resolve_changed(model, &spec, &report), -ESTALE);
	assert_null(spec);
	resolve(model);
	assert_false(model_is_touched(model));
}

/* ---- what is touched ---- */

static void a_slice_touches_its_service_alone(void **state)
{
	struct model *model = web_and_api();

	(void)state;
	put_slice(model, "web-2", "web", ":8080", "10.0.0.2");
	assert_true(model_is_touched(model));
	assert_changed(model, WEB "  80/TCP 10.0.0.1:8080* 10.0.0.2:8080*\n");
	model_delete_slice(model, 0, "shop", "web-1");
	assert_changed(model, WEB "  80/TCP 10.0.0.2:8080*\n");
	assert_changed(model, "");
	model_free(model);
}

static void a_label_that_moves_touches_both_services(void **state)
{
	struct model *model = web_and_api();

	(void)state;
	put_slice(model, "web-1", "api", ":8080", "10.0.0.1");
	assert_changed(model, "api.shop own 10.96.0.2\n  80/TCP 10.0.0.1:8080* 10.0.1.1:8080*\n" WEB "  80/TCP\n");
	model_free(model);
}

static void slices_of_a_service_that_is_not_known_touch_none(void **state)
{
	struct model *model = web_and_api();

	(void)state;
	put_slice(model, "x", "unknown", ":8080", "10.0.0.1");
	assert_changed(model, "");
	model_delete_slice(model, 0, "shop", "x");
	assert_changed(model, "");
	model_free(model);
}

static void before_the_first_resolve_all_is_touched(void **state)
{
	struct model *model = new_model();

	(void)state;
	assert_stale(model);
	assert_changed(model, "");
	model_free(model);
}

static void sticky(struct kube_service *service)
{
	service->affinity_s = 600;
}

static void a_service_that_comes_changes_or_goes_touches_all(void **state)
{
	struct model *model = web_and_api();

	(void)state;
	put_service(model, "new", "10.96.0.3", ":80", NULL);
	assert_stale(model);
	put_service(model, "new", "10.96.0.4", ":80", NULL);
	assert_stale(model);
	put_service(model, "new", "10.96.0.4", ":81", NULL);
	assert_stale(model);
	put_service(model, "new", "10.96.0.4", "x:81", NULL);
	assert_stale(model);
	put_service(model, "new", "10.96.0.4", "x:81", sticky);
	assert_stale(model);
	model_delete_service(model, 0, "shop", "new");
	assert_stale(model);
	model_free(model);
}

static void a_service_that_is_told_again_touches_nothing(void **state)
{
	struct model *model = web_and_api();

	(void)state;
	put_service(model, "web", "10.96.0.1", ":80", NULL);
	assert_false(model_is_touched(model));
	model_delete_service(model, 1, "shop", "web");
	model_delete_service(model, 0, "shop", "unknown");
	model_delete_slice(model, 0, "shop", "unknown");
	assert_false(model_is_touched(model));
	model_free(model);
}

static void a_version_that_is_told_again_touches_nothing(void **state)
{
	struct model *model = web_and_api();
	struct teller told = { .model = model, .origin = 1, .version = "5" };

	(void)state;
	tell_slice(&told, "x", "web", ":8080", "10.0.0.2");
	assert_changed(model, WEB "  80/TCP 10.0.0.1:8080* 10.0.0.2:8080*\n");
	tell_slice(&told, "x", "web", ":8080", "10.0.0.2");
	told.list = model_list_begin(model, KUBE_SLICE, 1);
	tell_slice(&told, "x", "web", ":8080", "10.0.0.2");
	assert_int_equal(model_list_commit(told.list), 0);
	assert_false(model_is_touched(model));
	model_free(model);
}

static void what_counts_for_all_touches_all(void **state)
{
	struct file_services file = { .defaults = policy_defaults() };
	struct model *model = web_and_api();

	(void)state;
	model_touch_all(model);
	assert_stale(model);
	model_set_mesh(model, 15001);
	assert_stale(model);
	model_set_mesh(model, 15001);
	model_set_synced(model, true, true);
	assert_false(model_is_touched(model));
	model_set_namespace_synced(model, "shop", KUBE_SLICE);
	assert_stale(model);
	assert_int_equal(model_set_file(model, &file), 0);
	assert_stale(model);
	model_free(model);
}

static void a_zone_that_is_learnt_anew_touches_all(void **state)
{
	struct model *model = new_model_at("node-a", NULL);

	(void)state;
	put_slice(model, "a", "x", "", "10.0.0.1,n=node-b,z=zone-b");
	resolve(model);
	put_slice(model, "b", "x", "", "10.0.0.2,n=node-a,z=zone-a");
	assert_stale(model);
	put_slice(model, "c", "x", "", "10.0.0.3,n=node-a,z=zone-a");
	assert_changed(model, "");
	model_delete_slice(model, 0, "shop", "b");
	assert_changed(model, "");
	put_slice(model, "c", "x", "", "10.0.0.3,n=node-a,z=zone-c");
	assert_stale(model);
	model_delete_slice(model, 0, "shop", "c");
	assert_stale(model);
	model_free(model);
}

static void by_address(struct kube_service *service)
{
	policy_set(&service->annotations, policy_find("headless", 8), "address", 7, ORIGIN_ANNOTATION);
}

static void an_allocated_address_touches_all(void **state)
{
	struct model *model = web_and_api();
	char endpoint[ADDR_TEXT];
	const struct spec *spec;

	(void)state;
	put_service(model, "db", "None", ":80", by_address);
	assert_stale(model);
	put_slice(model, "db-1", "db", ":80", "10.0.2.1");
	assert_stale(model);
	put_slice(model, "web-2", "web", ":80", "10.0.0.2");
	assert_changed(model, WEB "  80/TCP 10.0.0.1:8080* 10.0.0.2:80*\n");
	spec = resolve(model);
	assert_string_equal(spec->services[1].name, "db");
	addr_print_ip(&spec->services[1].addresses[0].addr, endpoint);
	put_slice(model, "web-2", "web", ":80", endpoint); /* somebody has that very address */
	assert_stale(model);
	model_free(model);
}

static void a_service_whose_place_a_file_takes_is_not_touched(void **state)
{
	struct file_port port = { "", 80, PROTOCOL_TCP };
	struct file_service service = {
		.name = "web", .namespace = "shop", .ports = &port, .port_count = 1, .policy = policy_defaults()
	};
	struct file_services file = { .defaults = policy_defaults(), .services = &service, .count = 1 };
	struct model *model = web_and_api();

	(void)state;
	assert_int_equal(model_set_file(model, &file), 0);
	resolve(model);
	put_slice(model, "web-1", "web", ":8080", "10.0.0.9");
	assert_changed(model, "");
	model_free(model);
}

static void a_released_model_still_tells_changes(void **state)
{
	struct model *model = web_and_api();

	(void)state;
	model_release(model);
	model_release(model);
	put_slice(model, "web-1", "web", ":8080", "10.0.0.9");
	assert_changed(model, WEB "  80/TCP 10.0.0.9:8080*\n");
	model_release(model);
	assert_spec(model, "api.shop own 10.96.0.2\n  80/TCP 10.0.1.1:8080*\n" WEB "  80/TCP 10.0.0.9:8080*\n");
	model_free(model);
}

/* ---- standing down ---- */

static uint32_t stand_down_of(struct model *model, const char *namespace, const char *name)
{
	const struct spec *spec = resolve(model);

	for (size_t i = 0; i < spec->service_count; i++)
		if (strcmp(spec->services[i].name, name) == 0 && strcmp(spec->services[i].namespace, namespace) == 0)
			return spec->services[i].stand_down;
	fail_msg("no service %s.%s", name, namespace);
	return 0;
}

static void a_service_stands_down_until_both_lists_of_its_namespace_are_complete(void **state)
{
	struct model_options options = { 0 };
	struct model *model = model_new(&options);

	(void)state;
	put_service(model, "web.one", "10.96.0.1", ":80", NULL);
	put_service(model, "web.two", "10.96.0.2", ":80", NULL);
	model_set_namespace_synced(model, "one", KUBE_SERVICE);
	model_set_namespace_synced(model, "two", KUBE_SLICE);
	assert_int_equal(stand_down_of(model, "one", "web"), STAND_DOWN_UNSYNCED);
	model_set_namespace_synced(model, "one", KUBE_SLICE);
	assert_int_equal(stand_down_of(model, "one", "web"), STAND_DOWN_NO);
	assert_int_equal(stand_down_of(model, "two", "web"), STAND_DOWN_UNSYNCED);
	model_set_namespace_synced(model, NULL, KUBE_SERVICE);
	assert_int_equal(stand_down_of(model, "two", "web"), STAND_DOWN_NO);
	model_free(model);
}

static void beside_a_mesh_services_with_an_address_stand_down(void **state)
{
	struct file_port port = { "", 80, PROTOCOL_TCP };
	struct file_service service = {
		.name = "mine", .namespace = "", .ports = &port, .port_count = 1, .policy = policy_defaults()
	};
	struct file_services file = { .defaults = policy_defaults(), .services = &service, .count = 1 };
	struct model *model = web_and_api();

	(void)state;
	put_service(model, "names", "None", ":80", NULL);
	put_service(model, "db", "None", ":80", by_address);
	assert_int_equal(model_set_file(model, &file), 0);
	model_set_mesh(model, 15001);
	assert_int_equal(resolve(model)->mesh_port, 15001);
	assert_int_equal(stand_down_of(model, "shop", "web"), STAND_DOWN_MESH);
	assert_int_equal(stand_down_of(model, "shop", "names"), STAND_DOWN_NO);
	assert_int_equal(stand_down_of(model, "shop", "db"), STAND_DOWN_NO);
	assert_int_equal(stand_down_of(model, "", "mine"), STAND_DOWN_NO);
	model_set_mesh(model, 0);
	assert_int_equal(stand_down_of(model, "shop", "web"), STAND_DOWN_NO);
	assert_int_equal(resolve(model)->mesh_port, 0);
	model_free(model);
}

static void other_proxy(struct kube_service *service)
{
	service->other_proxy = true;
}

static void of_several_reasons_to_stand_down_the_first_is_told(void **state)
{
	struct model_options options = { 0 };
	struct model *model = model_new(&options);

	(void)state;
	model_set_mesh(model, 4143);
	put_service(model, "kubernetes.default", "10.96.0.1", ":443", other_proxy);
	put_service(model, "proxied", "10.96.0.2", ":80", other_proxy);
	put_service(model, "web", "10.96.0.3", ":80", NULL);
	put_service(model, "names", "None", ":80", NULL);
	assert_int_equal(stand_down_of(model, "default", "kubernetes"), STAND_DOWN_API);
	assert_int_equal(stand_down_of(model, "shop", "proxied"), STAND_DOWN_OTHER_PROXY);
	assert_int_equal(stand_down_of(model, "shop", "web"), STAND_DOWN_MESH);
	assert_int_equal(stand_down_of(model, "shop", "names"), STAND_DOWN_UNSYNCED);
	model_free(model);
}

/* ---- at random ---- */

#define NAMES	5
#define SLICES	12
#define ORIGINS 3
#define STEPS	1500

static uint64_t random_state;

static uint32_t below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((random_state >> 33) % n);
}

/* What one origin says of one object; when 0: nothing. The version is the moment. */
struct said {
	unsigned when;
	unsigned label;
	bool is_v4;
	char text[512]; /* endpoints, or ports */
	unsigned change;
};

/* The truth, against which the model is held. */
struct world {
	struct said slices[ORIGINS][SLICES], services[ORIGINS][NAMES];
	unsigned now;
};

static void local(struct kube_service *service)
{
	service->local = true;
}

static void (*const changes[])(struct kube_service *) = { NULL, NULL, NULL, local, sticky };

static const char *const ports[] = { "http:80 dns:53/UDP", "http:80", "http:80 http2:81 :82" };
static const char *const slice_ports[] = { "http:8080 dns:53/UDP", "http:8080", "http:9090 :82 http2:81", "" };
static const char *const zones[] = { "zone-a", "zone-b" };

static void random_endpoints(struct said *said)
{
	unsigned count = below(6);
	size_t len = 0;

	said->text[0] = '\0';
	for (unsigned i = 0; i < count; i++) {
		static const char *const conditions[] = { "", "", "", ",r1", ",r0", ",r0,s1,t1", ",r0,s0,t1", ",r1,s1,t1" };
		unsigned host = below(9), node = below(3);

		len += (size_t)snprintf(said->text + len, sizeof(said->text) - len,
					"%s%u%s,p=c-%u,n=node-%c", said->is_v4 ? "10.0.0." : "fd00:1::", host + 1,
					conditions[below(8)], host, "abc"[node]);
		if (below(3))
			len += (size_t)snprintf(said->text + len, sizeof(said->text) - len, ",z=%s", zones[node % 2]);
		if (below(4))
			len += (size_t)snprintf(said->text + len, sizeof(said->text) - len, ",hz=%s", zones[below(2)]);
		if (below(4) == 0)
			len += (size_t)snprintf(said->text + len, sizeof(said->text) - len, ",hn=node-%c", "abc"[node]);
		len += (size_t)snprintf(said->text + len, sizeof(said->text) - len, " ");
	}
}

static void random_slice(struct world *world, struct said *said)
{
	*said = (struct said){ .when = ++world->now, .label = below(NAMES + 1), .is_v4 = below(3) > 0 };
	random_endpoints(said);
	said->change = below(4);
}

static void random_service(struct world *world, struct said *said)
{
	*said = (struct said){ .when = ++world->now, .label = below(2), .change = below(5) };
	snprintf(said->text, sizeof(said->text), "%s", ports[below(3)]);
}

static void tell_one_slice(const struct teller *teller, unsigned i, const struct said *said)
{
	char name[16], service[16] = "";

	snprintf(name, sizeof(name), "slice-%u", i);
	if (said->label < NAMES)
		snprintf(service, sizeof(service), "s%u", said->label);
	tell_slice(teller, name, service, slice_ports[said->change], said->text);
}

static void tell_one_service(const struct teller *teller, unsigned i, const struct said *said)
{
	char name[16], addresses[32];

	snprintf(name, sizeof(name), "s%u", i);
	snprintf(addresses, sizeof(addresses), said->label ? "10.96.0.%u fd00::%u" : "10.96.0.%u", i + 1, i + 1);
	tell_service(teller, name, addresses, said->text, changes[said->change]);
}

static struct teller teller_of(struct model *model, uint32_t origin, const struct said *said, char version[16])
{
	snprintf(version, 16, "%u", said->when);
	return (struct teller){ .model = model, .origin = origin + 1, .version = version };
}

static void change_slice(struct world *world, struct model *model)
{
	uint32_t origin = below(ORIGINS), i = below(SLICES);
	struct said *said = &world->slices[origin][i];
	char name[16], version[16];

	snprintf(name, sizeof(name), "slice-%u", i);
	if (below(4) == 0) {
		said->when = 0;
		model_delete_slice(model, origin + 1, "shop", name);
		return;
	}
	random_slice(world, said);
	tell_one_slice(&(struct teller[]){ teller_of(model, origin, said, version) }[0], i, said);
	if (said->label == NAMES)
		said->when = 0;
}

static void change_service(struct world *world, struct model *model)
{
	uint32_t origin = below(ORIGINS), i = below(NAMES);
	struct said *said = &world->services[origin][i];
	char name[16], version[16];

	snprintf(name, sizeof(name), "s%u", i);
	if (below(3) == 0) {
		said->when = 0;
		model_delete_service(model, origin + 1, "shop", name);
		return;
	}
	random_service(world, said);
	tell_one_service(&(struct teller[]){ teller_of(model, origin, said, version) }[0], i, said);
}

/* Some are as they were, some are gone, some are others; in between, another origin may speak. */
static void list_slices(struct world *world, struct model *model)
{
	uint32_t origin = below(ORIGINS);
	struct model_list *list = model_list_begin(model, KUBE_SLICE, origin + 1);
	bool given_up = below(5) == 0;

	for (unsigned i = 0; i < SLICES; i++) {
		struct said *said = &world->slices[origin][i], next = *said;
		struct teller teller;
		char version[16];
		unsigned what = below(4);

		if (what == 0)
			next.when = 0;
		else if (what == 1)
			random_slice(world, &next);
		if (next.when) {
			teller = teller_of(model, origin, &next, version);
			teller.list = list;
			tell_one_slice(&teller, i, &next);
		}
		if (next.label == NAMES)
			next.when = 0;
		if (!given_up)
			*said = next;
	}
	if (given_up)
		model_list_abort(list);
	else
		assert_int_equal(model_list_commit(list), 0);
}

/* The one that was said last. */
static const struct said *last_of(const struct said *said, size_t stride, unsigned i)
{
	const struct said *last = NULL;

	for (unsigned origin = 0; origin < ORIGINS; origin++) {
		const struct said *one = &said[origin * stride + i];

		if (one->when && (!last || one->when > last->when))
			last = one;
	}
	return last;
}

static struct model *random_model(void)
{
	struct model_options options = { .node = "node-a", .namespace = "shop", .pod = "c-1" };
	struct model *model = model_new(&options);

	model_set_synced(model, true, true);
	return model;
}

/* A model that is told the truth at once, and nothing before. */
static struct model *fresh_model(const struct world *world)
{
	struct model *model = random_model();
	struct teller teller = { .model = model };

	for (unsigned i = 0; i < SLICES; i++) {
		const struct said *said = last_of(&world->slices[0][0], SLICES, i);

		if (said)
			tell_one_slice(&teller, i, said);
	}
	for (unsigned i = 0; i < NAMES; i++) {
		const struct said *said = last_of(&world->services[0][0], NAMES, i);

		if (said)
			tell_one_service(&teller, i, said);
	}
	return model;
}

/* The published Services, each as text; a changed one replaces its like. */
struct published {
	char *text[NAMES];
	uint32_t rank, peers;
};

static void publish(struct published *published, const struct spec *spec, bool all)
{
	for (unsigned i = 0; all && i < NAMES; i++) {
		free(published->text[i]);
		published->text[i] = NULL;
	}
	for (size_t i = 0; i < spec->service_count; i++) {
		struct spec one = { .services = &spec->services[i], .service_count = 1 };
		unsigned name = (unsigned)(spec->services[i].name[1] - '0');

		assert_true(all || published->text[name]);
		free(published->text[name]);
		published->text[name] = spec_text(&one);
	}
	published->rank = spec->client_rank;
	published->peers = spec->client_peers;
}

static void assert_published(const struct published *published, const struct world *world)
{
	struct model *fresh = fresh_model(world);
	const struct spec *spec = resolve(fresh);
	char *expected = spec_text(spec), found[65536] = "";

	for (unsigned i = 0; i < NAMES; i++)
		if (published->text[i])
			strcat(found, published->text[i]);
	assert_string_equal(found, expected);
	assert_int_equal(published->rank, spec->client_rank);
	assert_int_equal(published->peers, spec->client_peers);
	free(expected);
	model_free(fresh);
}

static void changes_at_random_come_to_what_a_fresh_model_says(void **state)
{
	const char *given = getenv("SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
	struct world *world = calloc(1, sizeof(*world));
	struct published published = { 0 };
	struct model *model = random_model();
	unsigned partial = 0;

	(void)state;
	printf("SEED=%llu\n", (unsigned long long)seed);
	random_state = seed;
	for (unsigned step = 0; step < STEPS; step++) {
		struct report report = { "" };
		struct spec *spec;
		unsigned what = below(12);
		int err;

		(what == 0 ? change_service : what < 3 ? list_slices : change_slice)(world, model);
		err = model_resolve_changed(model, &spec, &report);
		partial += err == 0;
		if (err == -ESTALE)
			spec = resolve(model);
		else
			assert_int_equal(err, 0);
		publish(&published, spec, err != 0);
		model_release(model);
		assert_published(&published, world);
	}
	assert_true(partial > STEPS / 20);
	for (unsigned i = 0; i < NAMES; i++)
		free(published.text[i]);
	model_free(model);
	free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slice_touches_its_service_alone),
		cmocka_unit_test(a_label_that_moves_touches_both_services),
		cmocka_unit_test(slices_of_a_service_that_is_not_known_touch_none),
		cmocka_unit_test(before_the_first_resolve_all_is_touched),
		cmocka_unit_test(a_service_that_comes_changes_or_goes_touches_all),
		cmocka_unit_test(a_service_that_is_told_again_touches_nothing),
		cmocka_unit_test(a_version_that_is_told_again_touches_nothing),
		cmocka_unit_test(what_counts_for_all_touches_all),
		cmocka_unit_test(a_zone_that_is_learnt_anew_touches_all),
		cmocka_unit_test(an_allocated_address_touches_all),
		cmocka_unit_test(a_service_whose_place_a_file_takes_is_not_touched),
		cmocka_unit_test(a_released_model_still_tells_changes),
		cmocka_unit_test(a_service_stands_down_until_both_lists_of_its_namespace_are_complete),
		cmocka_unit_test(beside_a_mesh_services_with_an_address_stand_down),
		cmocka_unit_test(of_several_reasons_to_stand_down_the_first_is_told),
		cmocka_unit_test(changes_at_random_come_to_what_a_fresh_model_says),
	};

	return RUN_TESTS(tests);
}

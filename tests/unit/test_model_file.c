/* SPDX-License-Identifier: Apache-2.0 */
/* Services of a file in the model, beside those of the API; and whose policy counts. */
#include "support/testing.h"

#include "model/model.h"
#include "model/policy.h"
#include "support/kube_objects.h"
#include "support/models.h"

static struct addr address(const char *text)
{
	struct addr addr;

	if (addr_parse(text, strlen(text), &addr) < 0)
		assert_int_equal(addr_parse_ip(text, strlen(text), &addr), 0);
	return addr;
}

/* A file of one service with one port; its endpoints are ready until the test says otherwise. */
struct one_file {
	struct file_services file;
	struct file_service service;
	struct file_port port;
	struct file_endpoint endpoints[8];
	struct addr addresses[2];
};

static struct one_file *one_file(struct one_file *f, const char *name, const char *namespace, size_t endpoints)
{
	memset(f, 0, sizeof(*f));
	f->file.defaults = policy_defaults();
	f->file.services = &f->service;
	f->file.count = 1;
	f->service.name = name;
	f->service.namespace = namespace;
	f->service.policy = policy_defaults();
	f->service.ports = &f->port;
	f->service.port_count = 1;
	f->service.endpoints = f->endpoints;
	f->service.endpoint_count = endpoints;
	f->service.addresses = f->addresses;
	f->port = (struct file_port){ "", 80, PROTOCOL_TCP };
	for (size_t i = 0; i < endpoints; i++) {
		char text[48];

		snprintf(text, sizeof(text), "10.1.0.%zu:8080", i + 1);
		f->endpoints[i] = (struct file_endpoint){ .addr = address(text), .weight = 1, .ready = true };
	}
	return f;
}

/* ---- services ---- */

static void a_service_of_a_file_answers_to_its_bare_name(void **state)
{
	struct model *model = new_model();
	struct one_file f;

	(void)state;
	one_file(&f, "web", "", 2);
	f.endpoints[1].weight = 3;
	f.endpoints[1].zone = "zone-b";
	assert_int_equal(model_set_file(model, &f.file), 0);
	memset(&f, 0xff, sizeof(f)); /* the model has copies */
	assert_spec(model, "web bare ~v4\n  80/TCP 10.1.0.1:8080* 10.1.0.2:8080x3*\n");
	assert_string_equal(resolve(model)->services[0].ports[0].endpoints[1].zone, "zone-b");
	model_free(model);
}

static void a_service_of_a_file_needs_no_list_to_be_complete(void **state)
{
	struct model_options options = { 0 };
	struct model *model = model_new(&options);
	struct one_file f;

	(void)state;
	model_set_file(model, &one_file(&f, "web", "", 1)->file);
	assert_int_equal(resolve(model)->services[0].stand_down, STAND_DOWN_NO);
	model_free(model);
}

static void a_file_replaces_what_an_earlier_one_said(void **state)
{
	struct model *model = new_model();
	struct one_file f;

	(void)state;
	model_set_file(model, &one_file(&f, "web", "", 1)->file);
	resolve(model);
	model_set_file(model, &one_file(&f, "api", "shop", 1)->file);
	assert_spec(model, "api.shop bare ~v4\n  80/TCP 10.1.0.1:8080*\n");
	model_free(model);
}

static void endpoints_of_a_file_are_usable_when_ready_and_not_terminating(void **state)
{
	struct model *model = new_model();
	struct one_file f;

	(void)state;
	one_file(&f, "web", "", 4);
	f.endpoints[1].ready = false;
	f.endpoints[2].terminating = true;
	f.endpoints[3].ready = false;
	f.endpoints[3].terminating = true;
	model_set_file(model, &f.file);
	assert_spec(model, "web bare ~v4\n  80/TCP 10.1.0.1:8080* 10.1.0.2:8080 10.1.0.3:8080 10.1.0.4:8080\n");
	f.endpoints[0].ready = false;
	model_set_file(model, &f.file);
	assert_spec(model, "web bare ~v4\n  80/TCP 10.1.0.1:8080 10.1.0.2:8080 10.1.0.3:8080* 10.1.0.4:8080\n");
	model_free(model);
}

static void ports_of_a_file_have_numbers_by_endpoint(void **state)
{
	struct file_port ports[] = { { "http", 80, PROTOCOL_TCP }, { "dns", 53, PROTOCOL_UDP } };
	uint16_t both[] = { 8080, 5353 }, one[] = { 8080, 0 };
	struct model *model = new_model();
	struct one_file f;

	(void)state;
	one_file(&f, "web", "", 2);
	f.service.ports = ports;
	f.service.port_count = 2;
	f.endpoints[0].port_numbers = both;
	f.endpoints[1].port_numbers = one;
	model_set_file(model, &f.file);
	assert_spec(model, "web bare ~v4\n  http:80/TCP 10.1.0.1:8080* 10.1.0.2:8080*\n  dns:53/UDP 10.1.0.1:5353*\n");
	model_free(model);
}

static void a_service_of_a_file_goes_before_one_of_the_api(void **state)
{
	struct model *model = new_model();
	struct one_file f;

	(void)state;
	put_service(model, "web", "10.96.0.1", "http:80", NULL);
	put_service(model, "api", "10.96.0.2", "http:80", NULL);
	put_slice(model, "a", "web", "http:8080", "10.0.0.1");
	model_set_file(model, &one_file(&f, "web", "shop", 1)->file);
	assert_spec(model, "api.shop own 10.96.0.2\n  http:80/TCP\nweb.shop bare ~v4\n  80/TCP 10.1.0.1:8080*\n");
	model_set_file(model, &one_file(&f, "web", "", 1)->file);
	assert_spec(model, "web bare ~v4\n  80/TCP 10.1.0.1:8080*\napi.shop own 10.96.0.2\n  http:80/TCP\n"
			   "web.shop own 10.96.0.1\n  http:80/TCP 10.0.0.1:8080*\n");
	model_free(model);
}

static void an_address_that_a_file_gives_is_taken_from_the_api(void **state)
{
	struct model *model = new_model();
	struct one_file f;

	(void)state;
	put_service(model, "web", "10.96.0.1 fd00::1", "http:80", NULL);
	put_service(model, "other", "10.96.0.1", "http:81", NULL);
	one_file(&f, "mine", "shop", 1);
	f.addresses[0] = address("10.96.0.1");
	f.service.address_count = 1;
	model_set_file(model, &f.file);
	assert_spec(model, "mine.shop bare own 10.96.0.1\n  80/TCP 10.1.0.1:8080*\n"
			   "other.shop own 10.96.0.1\n  http:81/TCP\n"
			   "web.shop own fd00::1\n  http:80/TCP\n");
	model_free(model);
}

static void the_mode_of_the_file_is_for_all(void **state)
{
	struct model *model = new_model();
	struct one_file f;

	(void)state;
	assert_int_equal(resolve(model)->mode, MODE_ON);
	one_file(&f, "web", "", 1);
	f.file.mode = MODE_OBSERVE;
	model_set_file(model, &f.file);
	assert_int_equal(resolve(model)->mode, MODE_ON);
	f.file.has_mode = true;
	model_set_file(model, &f.file);
	assert_int_equal(resolve(model)->mode, MODE_OBSERVE);
	model_free(model);
}

/* ---- policy ---- */

static void set_key(struct table_policy *policy, const char *name, const char *text, enum policy_origin origin)
{
	assert_int_equal(policy_set(policy, policy_find(name, strlen(name)), text, strlen(text), origin), 0);
}

static void annotated(struct kube_service *service)
{
	set_key(&service->annotations, "balance", "hash", ORIGIN_ANNOTATION);
	set_key(&service->annotations, "attempts", "7", ORIGIN_ANNOTATION);
	set_key(&service->annotations, "drain", "deadline:30s", ORIGIN_ANNOTATION);
	set_key(&service->annotations, "rebalance", "60s", ORIGIN_ANNOTATION);
	set_key(&service->annotations, "max_age", "1h", ORIGIN_ANNOTATION);
}

static struct model *annotated_model(void)
{
	struct model *model = new_model();

	put_service(model, "web", "10.96.0.1", "http:80", annotated);
	return model;
}

static void assert_policy(struct model *model, const char *name, const char *text, enum policy_origin origin)
{
	const struct table_policy *policy = &resolve(model)->services[0].policy;
	const struct policy_key *key = policy_find(name, strlen(name));
	char buf[POLICY_TEXT];

	assert_string_equal(policy_print(policy, key, buf), text);
	assert_int_equal(policy_origin_of(policy, key), origin);
}

static void annotations_go_before_defaults(void **state)
{
	struct model *model = annotated_model();
	struct file_services file = { .defaults = policy_defaults() };

	(void)state;
	set_key(&file.defaults, "balance", "random", ORIGIN_FILE);
	set_key(&file.defaults, "eject_for", "9s", ORIGIN_FILE);
	model_set_file(model, &file);
	assert_policy(model, "balance", "hash", ORIGIN_ANNOTATION);
	assert_policy(model, "attempts", "7", ORIGIN_ANNOTATION);
	assert_policy(model, "eject_for", "9s", ORIGIN_FILE);
	assert_policy(model, "eject_max", "5m", ORIGIN_DEFAULT);
	model_free(model);
}

static void annotations_move_connections_only_where_the_file_accepts_it(void **state)
{
	struct model *model = annotated_model();
	struct file_services file = { .defaults = policy_defaults() };

	(void)state;
	assert_policy(model, "drain", "leave", ORIGIN_UNACCEPTED);
	set_key(&file.defaults, "max_age", "2h", ORIGIN_FILE);
	model_set_file(model, &file);
	assert_policy(model, "drain", "leave", ORIGIN_UNACCEPTED);
	assert_policy(model, "rebalance", "off", ORIGIN_UNACCEPTED);
	assert_policy(model, "max_age", "2h", ORIGIN_FILE);
	file.accept_moves = true;
	model_set_file(model, &file);
	assert_policy(model, "drain", "deadline:30s", ORIGIN_ANNOTATION);
	assert_policy(model, "rebalance", "1m", ORIGIN_ANNOTATION);
	assert_policy(model, "max_age", "1h", ORIGIN_ANNOTATION);
	model_free(model);
}

static void annotated_to_stay(struct kube_service *service)
{
	set_key(&service->annotations, "drain", "leave", ORIGIN_ANNOTATION);
	set_key(&service->annotations, "rebalance", "0", ORIGIN_ANNOTATION);
}

static void annotations_that_move_nothing_are_not_refused(void **state)
{
	struct model *model = new_model();

	(void)state;
	put_service(model, "web", "10.96.0.1", "http:80", annotated_to_stay);
	assert_policy(model, "drain", "leave", ORIGIN_DEFAULT);
	assert_policy(model, "rebalance", "off", ORIGIN_DEFAULT);
	model_free(model);
}

static void annotated_with_waits(struct kube_service *service)
{
	annotated(service);
	set_key(&service->annotations, "quiet", "3s", ORIGIN_ANNOTATION);
	set_key(&service->annotations, "keepalive", "30s", ORIGIN_ANNOTATION);
}

/* They close nothing. */
static void quiet_and_keepalive_come_from_annotations_whatever_the_file_accepts(void **state)
{
	struct model *model = new_model();
	struct file_services file = { .defaults = policy_defaults() };

	(void)state;
	put_service(model, "web", "10.96.0.1", "http:80", annotated_with_waits);
	for (int accepted = 0; accepted < 2; accepted++) {
		file.accept_moves = accepted;
		model_set_file(model, &file);
		assert_policy(model, "quiet", "3s", ORIGIN_ANNOTATION);
		assert_policy(model, "keepalive", "30s", ORIGIN_ANNOTATION);
		assert_policy(model, "drain", accepted ? "deadline:30s" : "leave", accepted ? ORIGIN_ANNOTATION : ORIGIN_UNACCEPTED);
	}
	model_free(model);
}

static void the_entry_of_the_file_goes_before_annotations(void **state)
{
	struct model *model = annotated_model();
	struct one_file f;

	(void)state;
	one_file(&f, "web", "shop", 1);
	set_key(&f.service.policy, "balance", "p2c", ORIGIN_FILE);
	set_key(&f.service.policy, "max_age", "3h", ORIGIN_FILE);
	set_key(&f.file.defaults, "attempts", "9", ORIGIN_FILE);
	model_set_file(model, &f.file);
	assert_policy(model, "balance", "p2c", ORIGIN_FILE);
	assert_policy(model, "attempts", "7", ORIGIN_ANNOTATION);
	assert_policy(model, "max_age", "3h", ORIGIN_FILE);
	assert_policy(model, "drain", "leave", ORIGIN_UNACCEPTED);
	model_free(model);
}

static void misread(struct kube_service *service)
{
	policy_misread(&service->annotations, policy_find("mode", 4));
	policy_misread(&service->annotations, policy_find("balance", 7));
}

/* Off, unless the file says of this Service what it is; any other key is as if nobody had said it. */
static void an_annotation_that_makes_no_sense_gives_way_to_what_does(void **state)
{
	struct model *model = new_model();
	struct one_file f;

	(void)state;
	put_service(model, "web", "10.96.0.1", "http:80", misread);
	assert_policy(model, "mode", "off", ORIGIN_MISREAD);
	assert_policy(model, "balance", "least_conn", ORIGIN_MISREAD);
	one_file(&f, "web", "shop", 1);
	set_key(&f.file.defaults, "balance", "random", ORIGIN_FILE);
	set_key(&f.file.defaults, "mode", "observe", ORIGIN_FILE);
	assert_int_equal(model_set_file(model, &f.file), 0);
	assert_policy(model, "mode", "off", ORIGIN_MISREAD);
	assert_policy(model, "balance", "random", ORIGIN_FILE);
	set_key(&f.service.policy, "mode", "on", ORIGIN_FILE);
	assert_int_equal(model_set_file(model, &f.file), 0);
	assert_policy(model, "mode", "on", ORIGIN_FILE);
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_of_a_file_answers_to_its_bare_name),
		cmocka_unit_test(a_service_of_a_file_needs_no_list_to_be_complete),
		cmocka_unit_test(a_file_replaces_what_an_earlier_one_said),
		cmocka_unit_test(endpoints_of_a_file_are_usable_when_ready_and_not_terminating),
		cmocka_unit_test(ports_of_a_file_have_numbers_by_endpoint),
		cmocka_unit_test(a_service_of_a_file_goes_before_one_of_the_api),
		cmocka_unit_test(an_address_that_a_file_gives_is_taken_from_the_api),
		cmocka_unit_test(the_mode_of_the_file_is_for_all),
		cmocka_unit_test(annotations_go_before_defaults),
		cmocka_unit_test(annotations_move_connections_only_where_the_file_accepts_it),
		cmocka_unit_test(annotations_that_move_nothing_are_not_refused),
		cmocka_unit_test(quiet_and_keepalive_come_from_annotations_whatever_the_file_accepts),
		cmocka_unit_test(the_entry_of_the_file_goes_before_annotations),
		cmocka_unit_test(an_annotation_that_makes_no_sense_gives_way_to_what_does),
	};

	return RUN_TESTS(tests);
}

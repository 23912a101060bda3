/* SPDX-License-Identifier: Apache-2.0 */
/* Several watches feed one model: what each of their lists replaces, and who may take back what. */
#include "support/testing.h"

#include <errno.h>

#include "model/model.h"
#include "support/kube_objects.h"
#include "support/models.h"

#define WEB "web.shop own 10.96.0.1\n"

/* A list of this kind and origin, and how to add to it. */
static struct teller begin(struct model *model, enum kube_kind kind, uint32_t origin)
{
	struct teller teller = { .model = model, .list = model_list_begin(model, kind, origin), .origin = origin };

	assert_non_null(teller.list);
	return teller;
}

static void add_service(const struct teller *teller, const char *name, const char *address)
{
	tell_service(teller, name, address, ":80", NULL);
}

static void commit(const struct teller *teller)
{
	assert_int_equal(model_list_commit(teller->list), 0);
}

/* A model with one Service, web, that origin 9 has. */
static struct model *web_model(void)
{
	struct model *model = new_model();

	add_service(&(struct teller){ .model = model, .origin = 9 }, "web", "10.96.0.1");
	return model;
}

static struct teller watch(struct model *model, uint32_t origin, const char *version)
{
	return (struct teller){ .model = model, .origin = origin, .version = version };
}

static void assert_last(struct model *model, const char *expected)
{
	assert_spec(model, expected);
	model_free(model);
}

/* ---- lists ---- */

static void a_list_replaces_what_it_does_not_name(void **state)
{
	struct model *model = new_model();
	struct teller list;

	(void)state;
	put_service(model, "a", "10.96.0.1", ":80", NULL);
	put_service(model, "b", "10.96.0.2", ":80", NULL);
	put_slice(model, "b-1", "b", ":80", "10.0.0.1");
	list = begin(model, KUBE_SERVICE, 0);
	add_service(&list, "b", "10.96.0.2");
	add_service(&list, "c", "10.96.0.3");
	commit(&list);
	assert_spec(model, "b.shop own 10.96.0.2\n  80/TCP 10.0.0.1:80*\nc.shop own 10.96.0.3\n  80/TCP\n");
	list = begin(model, KUBE_SLICE, 0);
	commit(&list);
	assert_last(model, "b.shop own 10.96.0.2\n  80/TCP\nc.shop own 10.96.0.3\n  80/TCP\n");
}

static void a_list_counts_for_nothing_before_its_commit(void **state)
{
	struct model *model = new_model();
	struct teller list;

	(void)state;
	put_service(model, "a", "10.96.0.1", ":80", NULL);
	list = begin(model, KUBE_SERVICE, 0);
	add_service(&list, "b", "10.96.0.2");
	assert_spec(model, "a.shop own 10.96.0.1\n  80/TCP\n");
	commit(&list);
	assert_last(model, "b.shop own 10.96.0.2\n  80/TCP\n");
}

static void a_list_that_is_given_up_changes_nothing(void **state)
{
	struct model *model = new_model();
	struct teller list;

	(void)state;
	put_service(model, "a", "10.96.0.1", ":80", NULL);
	list = begin(model, KUBE_SERVICE, 0);
	add_service(&list, "a", "10.96.0.7");
	add_service(&list, "b", "10.96.0.2");
	model_list_abort(list.list);
	model_list_abort(NULL);
	assert_last(model, "a.shop own 10.96.0.1\n  80/TCP\n");
}

static void a_list_of_one_origin_leaves_the_others(void **state)
{
	struct model *model = new_model();
	struct teller one = watch(model, 1, NULL), two = watch(model, 2, NULL), list_one, list_two;

	(void)state;
	add_service(&one, "a.one", "10.96.0.1");
	add_service(&two, "a.two", "10.96.0.2");
	add_service(&two, "b.two", "10.96.0.3");
	list_one = begin(model, KUBE_SERVICE, 1);
	list_two = begin(model, KUBE_SERVICE, 2);
	add_service(&list_two, "b.two", "10.96.0.3");
	commit(&list_two);
	assert_spec(model, "a.one own 10.96.0.1\n  80/TCP\nb.two own 10.96.0.3\n  80/TCP\n");
	commit(&list_one);
	assert_last(model, "b.two own 10.96.0.3\n  80/TCP\n");
}

static void an_object_that_is_listed_in_its_version_stays(void **state)
{
	struct model *model = web_model();
	struct teller told = watch(model, 1, "7"), list;

	(void)state;
	tell_slice(&told, "a", "web", ":80", "10.0.0.1");
	tell_slice(&told, "b", "web", ":80", "10.0.0.2");
	list = begin(model, KUBE_SLICE, 1);
	list.version = "7";
	tell_slice(&list, "a", "web", ":80", "10.0.0.1");
	commit(&list);
	assert_last(model, WEB "  80/TCP 10.0.0.1:80*\n");
}

static void an_object_that_is_listed_in_another_version_is_replaced(void **state)
{
	struct model *model = web_model();
	struct teller told = watch(model, 1, "7"), list;

	(void)state;
	tell_slice(&told, "a", "web", ":80", "10.0.0.1");
	list = begin(model, KUBE_SLICE, 1);
	list.version = "6";
	tell_slice(&list, "a", "web", ":80", "10.0.0.2");
	commit(&list);
	assert_last(model, WEB "  80/TCP 10.0.0.2:80*\n");
}

static void a_mark_of_a_list_that_was_given_up_saves_nothing(void **state)
{
	struct model *model = web_model();
	struct teller told = watch(model, 1, "7"), list;

	(void)state;
	tell_slice(&told, "a", "web", ":80", "10.0.0.1");
	list = begin(model, KUBE_SLICE, 1);
	list.version = "7";
	tell_slice(&list, "a", "web", ":80", "10.0.0.1");
	model_list_abort(list.list);
	list = begin(model, KUBE_SLICE, 1);
	commit(&list);
	assert_last(model, WEB "  80/TCP\n");
}

static void an_object_that_is_listed_twice_is_as_it_was_told_last(void **state)
{
	struct model *model = web_model();
	struct teller told = watch(model, 1, "7"), list;

	(void)state;
	tell_slice(&told, "a", "web", ":80", "10.0.0.1");
	list = begin(model, KUBE_SLICE, 1);
	list.version = "8";
	tell_slice(&list, "a", "web", ":80", "10.0.0.8");
	tell_slice(&list, "b", "web", ":80", "10.0.1.8");
	list.version = "9";
	tell_slice(&list, "b", "web", ":80", "10.0.1.9");
	list.version = "7";
	tell_slice(&list, "a", "web", ":80", "10.0.0.1");
	commit(&list);
	assert_last(model, WEB "  80/TCP 10.0.0.1:80* 10.0.1.9:80*\n");
}

static void a_listed_slice_without_a_service_is_none(void **state)
{
	struct model *model = web_model();
	struct teller told = watch(model, 1, "7"), list;

	(void)state;
	tell_slice(&told, "a", "web", ":80", "10.0.0.1");
	list = begin(model, KUBE_SLICE, 1);
	tell_slice(&list, "a", "", ":80", "10.0.0.1");
	commit(&list);
	assert_last(model, WEB "  80/TCP\n");
}

static void what_is_published_once_has_no_versions(void **state)
{
	struct model *model = web_model();
	struct teller told = watch(model, 0, "7");

	(void)state;
	tell_slice(&told, "a", "web", ":80", "10.0.0.1");
	tell_slice(&told, "a", "web", ":80", "10.0.0.2");
	assert_last(model, WEB "  80/TCP 10.0.0.2:80*\n");
}

static void names_that_no_table_holds_are_refused_in_lists_too(void **state)
{
	struct kube_service service = { .namespace = "shop", .name = "" };
	struct kube_slice slice = { .namespace = "", .name = "x", .service = "web" };
	struct model *model = new_model();
	struct teller list = begin(model, KUBE_SERVICE, 1);

	(void)state;
	assert_int_equal(model_list_add_service(list.list, &service), -EINVAL);
	commit(&list);
	list = begin(model, KUBE_SLICE, 1);
	assert_int_equal(model_list_add_slice(list.list, &slice), -EINVAL);
	commit(&list);
	assert_last(model, "");
}

static void add_every(const struct teller *teller, int n, int every)
{
	char name[16];

	for (int i = 0; i < n; i += every) {
		snprintf(name, sizeof(name), "s%d", i);
		add_service(teller, name, "10.96.0.1");
	}
}

static void many_are_deleted_and_none_too_many(void **state)
{
	struct model *model = new_model();
	struct teller told = watch(model, 0, NULL), list;
	char name[16];

	(void)state;
	add_every(&told, 1000, 1);
	list = begin(model, KUBE_SERVICE, 0);
	add_every(&list, 1000, 7);
	commit(&list);
	assert_int_equal(resolve(model)->service_count, 143);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		model_delete_service(model, 0, "shop", name);
		assert_int_equal(resolve(model)->service_count, 143 - (i + 7) / 7);
	}
	model_free(model);
}

/* ---- origins ---- */

static void a_slice_may_come_to_one_watch_before_it_goes_from_another(void **state)
{
	struct model *model = web_model();
	struct teller a = watch(model, 1, "1"), b = watch(model, 2, "2");

	(void)state;
	tell_slice(&a, "x", "web", ":80", "10.0.0.1");
	tell_slice(&b, "x", "web", ":80", "10.0.0.2");
	model_delete_slice(model, 1, "shop", "x");
	assert_spec(model, WEB "  80/TCP 10.0.0.2:80*\n");
	model_delete_slice(model, 2, "shop", "x");
	assert_last(model, WEB "  80/TCP\n");
}

static void a_slice_may_go_from_one_watch_before_it_comes_to_another(void **state)
{
	struct model *model = web_model();
	struct teller a = watch(model, 1, "1"), b = watch(model, 2, "2");

	(void)state;
	tell_slice(&a, "x", "web", ":80", "10.0.0.1");
	model_delete_slice(model, 1, "shop", "x");
	tell_slice(&b, "x", "web", ":80", "10.0.0.2");
	assert_last(model, WEB "  80/TCP 10.0.0.2:80*\n");
}

/* The list was made before the slice moved; its watch then tells that it went. */
static void a_list_that_is_late_takes_nothing_from_another_watch(void **state)
{
	struct model *model = web_model();
	struct teller list = begin(model, KUBE_SLICE, 1), b = watch(model, 2, "2");

	(void)state;
	list.version = "1";
	tell_slice(&list, "x", "web", ":80", "10.0.0.1");
	tell_slice(&b, "x", "web", ":80", "10.0.0.2");
	commit(&list);
	model_delete_slice(model, 1, "shop", "x");
	assert_last(model, WEB "  80/TCP 10.0.0.2:80*\n");
}

static void only_who_has_an_object_can_delete_it(void **state)
{
	struct model *model = web_model();

	(void)state;
	model_delete_service(model, 0, "shop", "web");
	model_delete_service(model, 1, "shop", "web");
	assert_spec(model, WEB "  80/TCP\n");
	model_delete_service(model, 9, "shop", "web");
	assert_last(model, "");
}

static void what_another_watch_has_too_is_left_to_it(void **state)
{
	struct model *model = new_model();
	struct teller one = watch(model, 1, "1"), two = watch(model, 2, "1"), list;

	(void)state;
	add_service(&one, "web", "10.96.0.1");
	add_service(&two, "web", "10.96.0.1");
	list = begin(model, KUBE_SERVICE, 2);
	commit(&list);
	assert_spec(model, WEB "  80/TCP\n");
	list = begin(model, KUBE_SERVICE, 1);
	commit(&list);
	assert_last(model, "");
}

static void a_slice_that_loses_its_label_in_one_watch_is_left_to_the_other(void **state)
{
	struct model *model = web_model();
	struct teller a = watch(model, 1, "2"), b = watch(model, 2, "1");

	(void)state;
	tell_slice(&b, "x", "web", ":80", "10.0.0.1");
	tell_slice(&a, "x", "", ":80", "10.0.0.1");
	assert_spec(model, WEB "  80/TCP 10.0.0.1:80*\n");
	model_delete_slice(model, 2, "shop", "x");
	assert_last(model, WEB "  80/TCP\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_replaces_what_it_does_not_name),
		cmocka_unit_test(a_list_counts_for_nothing_before_its_commit),
		cmocka_unit_test(a_list_that_is_given_up_changes_nothing),
		cmocka_unit_test(a_list_of_one_origin_leaves_the_others),
		cmocka_unit_test(an_object_that_is_listed_in_its_version_stays),
		cmocka_unit_test(an_object_that_is_listed_in_another_version_is_replaced),
		cmocka_unit_test(a_mark_of_a_list_that_was_given_up_saves_nothing),
		cmocka_unit_test(an_object_that_is_listed_twice_is_as_it_was_told_last),
		cmocka_unit_test(a_listed_slice_without_a_service_is_none),
		cmocka_unit_test(what_is_published_once_has_no_versions),
		cmocka_unit_test(names_that_no_table_holds_are_refused_in_lists_too),
		cmocka_unit_test(many_are_deleted_and_none_too_many),
		cmocka_unit_test(a_slice_may_come_to_one_watch_before_it_goes_from_another),
		cmocka_unit_test(a_slice_may_go_from_one_watch_before_it_comes_to_another),
		cmocka_unit_test(a_list_that_is_late_takes_nothing_from_another_watch),
		cmocka_unit_test(only_who_has_an_object_can_delete_it),
		cmocka_unit_test(what_another_watch_has_too_is_left_to_it),
		cmocka_unit_test(a_slice_that_loses_its_label_in_one_watch_is_left_to_the_other),
	};

	return RUN_TESTS(tests);
}

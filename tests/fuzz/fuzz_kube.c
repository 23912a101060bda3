/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an API server sends, cut into pieces of any size: a list page by page, or the events of a watch. The first byte says which,
 * of what kind, and how pieces are cut. Cut otherwise, or whole, it has to come to the same.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "fuzz/models.h"
#include "kube/frames.h"
#include "kube/json.h"

struct taker {
	struct model *model;
	struct model_list *list; /* of a list */
	enum kube_kind kind;
	uint64_t sum; /* of the values, in their order */
	size_t count;
};

static void take_event(struct taker *t, const json_t *event)
{
	const char *type = kube_json_text(event, "type");
	const json_t *object = json_object_get(event, "object");

	if (!type || !json_is_object(object))
		return;
	if (strcmp(type, "DELETED") == 0)
		kube_json_forget(t->model, 1, t->kind, object);
	else
		kube_json_apply(t->model, 1, t->kind, object);
}

static int take(void *of, const char *text, size_t len)
{
	struct taker *t = of;
	json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

	for (size_t i = 0; i < len; i++)
		t->sum = t->sum * 31 + (unsigned char)text[i];
	t->count++;
	if (!value)
		return -ECANCELED;
	if (t->list)
		kube_json_list_add(t->list, value);
	else
		take_event(t, value);
	json_decref(value);
	return 0;
}

/* `piece` 0: in one; else in pieces of no more, of all sizes. */
static int feed(struct taker *t, bool is_list, const struct fuzz_input *in, size_t piece)
{
	struct frames frames;
	int r = 0;

	t->list = is_list ? model_list_begin(t->model, t->kind, 1) : NULL;
	frames_init(&frames, is_list ? FRAMES_LIST : FRAMES_EVENTS, take, t);
	for (size_t at = 0, n; r == 0 && at < in->left; at += n) {
		char *copy;

		n = piece ? 1 + at * 7 % piece : in->left;
		n = n < in->left - at ? n : in->left - at;
		copy = fuzz_copy(in->at + at, n, false);
		r = frames_feed(&frames, copy, n);
		free(copy);
	}
	if (r == 0)
		r = frames_end(&frames);
	frames_done(&frames);
	if (t->list && r == 0)
		r = model_list_commit(t->list);
	else
		model_list_abort(t->list);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t how = (uint8_t)fuzz_number(&in, 1);
	enum kube_kind kind = how & 2 ? KUBE_SLICE : KUBE_SERVICE;
	struct taker whole = { fuzz_model(), NULL, kind, 0, 0 }, cut = { fuzz_model(), NULL, kind, 0, 0 };
	int r = feed(&whole, how & 1, &in, 0), same = feed(&cut, how & 1, &in, (size_t)(how >> 2) + 1);

	FUZZ_HOLDS(r == same);
	FUZZ_HOLDS(whole.count == cut.count && whole.sum == cut.sum);
	model_set_synced(whole.model, true, true);
	fuzz_publish(whole.model);
	model_free(whole.model);
	model_free(cut.model);
	return 0;
}

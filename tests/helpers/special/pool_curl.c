/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_curl URL HANDLES PAUSE_MS: a constant load by libcurl's multi interface, until stdin ends. All handles ask for URL at once,
 * again and again with PAUSE_MS between, over the connections that the multi handle keeps; for each it prints who answered, or
 * "failed" and why.
 */
#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HANDLES_MAX = 64, LIMIT_S = 30 };

struct handle {
	CURL *curl;
	char text[256], error[CURL_ERROR_SIZE];
	size_t length;
};

static size_t keep(char *bytes, size_t size, size_t count, void *to)
{
	struct handle *h = to;
	size_t room = sizeof(h->text) - 1 - h->length, n = size * count;

	memcpy(h->text + h->length, bytes, n < room ? n : room);
	h->length += n < room ? n : room;
	h->text[h->length] = '\0';
	return n;
}

static void prepare(struct handle *h, const char *url)
{
	h->curl = curl_easy_init();
	curl_easy_setopt(h->curl, CURLOPT_URL, url);
	curl_easy_setopt(h->curl, CURLOPT_TIMEOUT, (long)LIMIT_S);
	curl_easy_setopt(h->curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, h);
	curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(h->curl, CURLOPT_PRIVATE, h);
}

static void report(CURLM *multi)
{
	struct handle *h;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(multi, &left))) {
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&h);
		if (message->data.result)
			printf("failed %s: %s\n", curl_easy_strerror(message->data.result), h->error);
		else
			printf("%s", h->text);
	}
}

static void ask_at_once(CURLM *multi, struct handle *handles, int count)
{
	int running = count;

	for (int i = 0; i < count; i++) {
		handles[i].length = 0;
		curl_multi_add_handle(multi, handles[i].curl);
	}
	while (running && curl_multi_perform(multi, &running) == CURLM_OK && running)
		curl_multi_poll(multi, NULL, 0, 1000, NULL);
	report(multi);
	for (int i = 0; i < count; i++)
		curl_multi_remove_handle(multi, handles[i].curl);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	static struct handle handles[HANDLES_MAX];
	int count = argc == 4 ? atoi(argv[2]) : 0;
	CURLM *multi;

	if (count < 1 || count > HANDLES_MAX)
		return 2;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)count);
	for (int i = 0; i < count; i++)
		prepare(&handles[i], argv[1]);
	do
		ask_at_once(multi, handles, count);
	while (poll(&input, 1, atoi(argv[3])) == 0);
	for (int i = 0; i < count; i++)
		curl_easy_cleanup(handles[i].curl);
	curl_multi_cleanup(multi);
	return 0;
}

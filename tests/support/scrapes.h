/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's metrics as a scraper reads them: requests written by hand, and numbers looked up by their sample. */
#ifndef FAIRDIAL_TESTS_SCRAPES_H
#define FAIRDIAL_TESTS_SCRAPES_H

#include <stdbool.h>
#include <stddef.h>

struct agent_run;

/* What an agent started with LISTEN_ANY says in its log: the port it has. */
#define LISTEN_ANY "--listen", "127.0.0.1:0"
int listen_port(struct agent_run *a);

/* A connection to it from this address of loopback (NULL: any), and a text written there; closed at the end of the test. */
int scrape_connect(int port, const char *from);
void scrape_write(int fd, const char *text);

struct answer {
	int status;
	const char *head, *body; /* valid until the test ends */
	size_t size;		 /* of the body */
};

/* Sends the text as it stands, and reads up to the end. */
struct answer scrape_ask(int port, const char *request);

/* "GET" of a path, with header lines each with \r\n, or NULL. */
struct answer scrape_send(int port, const char *method, const char *path, const char *headers);

/* The metrics as plain text; the test fails where they are not there. */
const char *scrape(int port);
const char *scrape_open_metrics(int port);

/* Of a text: "fairdial_trouble", "fairdial_api_watching{resource=\"services\"}". The test fails where it is not there. */
double sample_of(const char *text, const char *sample);
bool has_sample(const char *text, const char *sample);

/* How many lines begin so. */
size_t samples_of(const char *text, const char *beginning);

/* Of Service `web` without a namespace, port 80: "dials_total", and one more label ("state=\"usable\"") or NULL. */
const char *web_sample(const char *name, const char *label);

/* Until a sample has this value, and until a page has this status; the test fails after a while, and shows what is there. */
void wait_sample(int port, const char *sample, double value);
void wait_sample_above(int port, const char *sample, double value);
struct answer wait_page(int port, const char *path, int status);

#endif

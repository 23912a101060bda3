/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tops.h"

#include "support/testing.h"

#include "support/cleanup.h"
#include "support/process.h"
#include "support/table_builder.h"
#include "top/frame.h"
#include "top/rates.h"
#include "view/snapshot.h"

static void drop(void *snapshot)
{
	snapshot_free(snapshot);
	free(snapshot);
}

static struct snapshot *new_snapshot(size_t services)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->is_static = true;
	s->generation = 1;
	snprintf(s->source, sizeof(s->source), "file services.json");
	s->services = calloc(services, sizeof(*s->services));
	assert_non_null(s->services);
	after_test(drop, s);
	return s;
}

static struct snapshot_port *add_service(struct snapshot *s, const char *name, const char *namespace, const char *address,
					 size_t endpoints)
{
	struct snapshot_service *to = &s->services[s->all_count++];

	s->service_count = s->all_count;
	snprintf(to->name, sizeof(to->name), "%s", name);
	snprintf(to->namespace, sizeof(to->namespace), "%s", namespace);
	to->mode = "on";
	to->addresses = calloc(1, sizeof(*to->addresses));
	to->ports = calloc(1, sizeof(*to->ports));
	assert_non_null(to->addresses);
	assert_non_null(to->ports);
	to->addresses[0] = addr_of(address);
	to->address_count = to->port_count = 1;
	to->ports[0].port = 80;
	to->ports[0].protocol = "TCP";
	to->ports[0].balance = "least_conn";
	to->ports[0].endpoints = calloc(endpoints + 1, sizeof(struct snapshot_endpoint));
	assert_non_null(to->ports[0].endpoints);
	return to->ports;
}

static struct snapshot_endpoint *add_endpoint(struct snapshot_port *p, const char *address, uint32_t open, uint32_t dials,
					      uint32_t failures)
{
	static uint32_t slots;
	struct snapshot_endpoint *e = &p->endpoints[p->endpoint_count++];

	e->addr = addr_of(address);
	e->ready = e->usable = true;
	e->weight = 1;
	e->key = (struct ledger_key){ slots++ % 1000000, 77 };
	e->score = (struct ledger_score){ .active = open, .dials = dials, .failures = failures };
	return e;
}

struct snapshot *shop_snapshot(void)
{
	struct snapshot *s = new_snapshot(4);
	struct snapshot_port *p = add_service(s, "db", "back", "10.96.0.3", 1);
	struct snapshot_endpoint *e;

	add_endpoint(p, "10.0.2.1:5432", 2, 200, 0);
	p = add_service(s, "api", "shop", "10.96.0.2", 2);
	add_endpoint(p, "10.0.1.1:80", 1, 10, 1);
	e = add_endpoint(p, "10.0.1.2:80", 3, 20, 0);
	snprintf(e->zone, sizeof(e->zone), "zone-b");
	e->usable = e->ready = false;
	add_service(s, "idle", "shop", "10.96.0.4", 0);
	p = add_service(s, "web", "shop", "10.96.0.1", 4);
	add_endpoint(p, "10.0.0.1:80", 4, 50, 0);
	add_endpoint(p, "10.0.0.2:80", 1, 20, 0)->terminating = true;
	add_endpoint(p, "10.0.0.3:80", 5, 30, 0)->usable = false;
	e = add_endpoint(p, "10.0.0.4:80", 0, 0, 3);
	e->score.ejected = true;
	e->score.ejected_ms = 12000;
	snprintf(e->zone, sizeof(e->zone), "zone-b");
	return s;
}

struct snapshot *big_snapshot(size_t services, size_t endpoints)
{
	struct snapshot *s = new_snapshot(services);

	for (size_t i = 0; i < services; i++) {
		struct snapshot_port *p = add_service(s, format("svc-%05zu", i), "ns", "10.96.0.1", endpoints);

		for (size_t j = 0; j < endpoints; j++)
			add_endpoint(p, format("10.%zu.%zu.%zu:80", 1 + i / 250, i % 250, j + 1), (uint32_t)j,
				     (uint32_t)(i * 7 % 13), 0);
	}
	return s;
}

/* ---- what a frame shows ---- */

static const char *text_of(const struct frame *f)
{
	static struct frame_line lines[1024];
	int n = frame_lines(f, 0, 1024, lines);
	char *text = format("%s", ""), name[FULL_NAME_SIZE], addr[ADDR_TEXT];

	assert_int_equal(n, f->line_count);
	for (int i = 0; i < n; i++) {
		bool is_first = i == 0 || lines[i - 1].kind == FRAME_SERVICE;

		if (lines[i].kind == FRAME_SERVICE)
			text = format("%s%s%s %zu", text, i ? " | " : "", full_name(lines[i].group->service, name),
				      lines[i].group->service->port_count);
		else
			text = format("%s%s%s", text, is_first ? " | " : " ",
				      lines[i].endpoint ? addr_print(&lines[i].endpoint->addr, addr) : "(none)");
	}
	return text;
}

void assert_lines(const struct snapshot *s, const struct choices choices, const char *lines)
{
	struct rates rates = { 0 };
	struct frame frame;

	assert_int_equal(frame_make(&frame, s, &rates, &choices), 0);
	assert_string_equal(text_of(&frame), lines);
	frame_free(&frame);
}

static void dial_more(struct snapshot *s)
{
	s->services[0].ports[0].endpoints[0].score.dials += 1;
	s->services[1].ports[0].endpoints[0].score.dials += 9;
	s->services[3].ports[0].endpoints[0].score.dials += 2;
	s->services[3].ports[0].endpoints[1].score.dials += 5;
}

void assert_orders(struct snapshot *s, const struct choices choices, const char *services, const char *endpoints_of_web)
{
	char *names = format("%s", ""), *endpoints = names;
	static struct frame_line lines[64];
	struct rates rates = { 0 };
	struct frame frame;
	int n;

	assert_int_equal(rates_keep(&rates, s, 0), 0);
	dial_more(s);
	rates_until(&rates, 1000000000);
	assert_int_equal(frame_make(&frame, s, &rates, &choices), 0);
	n = frame_lines(&frame, 0, 64, lines);
	for (int i = 0; i < n; i++) {
		if (lines[i].kind == FRAME_SERVICE)
			names = format("%s%s%s", names, *names ? " " : "", lines[i].group->service->name);
		else if (lines[i].endpoint && strcmp(lines[i].group->service->name, "web") == 0)
			endpoints = format("%s%s%u", endpoints, *endpoints ? " " : "", lines[i].endpoint->addr.ip[15]);
	}
	assert_string_equal(names, services);
	if (endpoints_of_web)
		assert_string_equal(endpoints, endpoints_of_web);
	frame_free(&frame);
	rates_free(&rates);
}

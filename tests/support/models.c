/* SPDX-License-Identifier: Apache-2.0 */
#include "support/models.h"

#include "support/testing.h"

#include "model/model.h"

static const char *const flag_names[] = { "bare", "headless", "own", "local" };

static void print_service(FILE *out, const struct spec_service *service)
{
	fprintf(out, "%s%s%s", service->name, service->namespace[0] ? "." : "", service->namespace);
	for (unsigned i = 0; i < 4; i++)
		if (service->flags >> i & 1)
			fprintf(out, " %s", flag_names[i]);
	if (service->affinity_s)
		fprintf(out, " affinity=%u", service->affinity_s);
	if (service->stand_down)
		fprintf(out, " down=%u", service->stand_down);
	for (size_t i = 0; i < service->address_count; i++) {
		const struct spec_address *address = &service->addresses[i];
		char text[ADDR_TEXT];

		if (address->kind == ADDRESS_ALLOCATED)
			fprintf(out, " ~v%d", address->addr.is_v4 ? 4 : 6);
		else
			fprintf(out, " %s", addr_print_ip(&address->addr, text));
	}
	fputc('\n', out);
}

static void print_port(FILE *out, const struct spec_port *port)
{
	fprintf(out, "  %s%s%u/%s", port->name, port->name[0] ? ":" : "", port->port,
		port->protocol == PROTOCOL_TCP   ? "TCP"
		: port->protocol == PROTOCOL_UDP ? "UDP"
						 : "SCTP");
	for (size_t i = 0; i < port->endpoint_count; i++) {
		const struct spec_endpoint *endpoint = &port->endpoints[i];
		char text[ADDR_TEXT];

		fprintf(out, " %s", addr_print(&endpoint->addr, text));
		if (endpoint->weight != 1)
			fprintf(out, "x%u", endpoint->weight);
		if (endpoint->flags & ENDPOINT_USABLE)
			fputc('*', out);
	}
	fputc('\n', out);
}

char *spec_text(const struct spec *spec)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; i < spec->service_count; i++) {
		print_service(out, &spec->services[i]);
		for (size_t j = 0; j < spec->services[i].port_count; j++)
			print_port(out, &spec->services[i].ports[j]);
	}
	fclose(out);
	return text;
}

struct model *new_model_at(const char *node, const char *zone)
{
	struct model_options options = { .node = node, .zone = zone };
	struct model *model = model_new(&options);

	assert_non_null(model);
	model_set_synced(model, true, true);
	return model;
}

struct model *new_model(void)
{
	return new_model_at(NULL, NULL);
}

struct spec *resolve(struct model *model)
{
	struct spec *spec = NULL;
	struct report report = { "" };

	if (model_resolve(model, &spec, &report) < 0)
		fail_msg("%s", report.text);
	return spec;
}

void assert_spec(struct model *model, const char *expected)
{
	char *text = spec_text(resolve(model));

	assert_string_equal(text, expected);
	free(text);
}

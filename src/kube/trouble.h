/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong between the agent and the API server, sorted by what has to be done about it, and told to people in one line: the
 * thing, the reason, the remedy.
 */
#ifndef FAIRDIAL_KUBE_TROUBLE_H
#define FAIRDIAL_KUBE_TROUBLE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "kube/http.h"

struct kube_config;

enum kube_outcome {
	KUBE_OK,
	KUBE_EXPIRED,	   /* 410: the version, or the continue token, is too old */
	KUBE_TOO_LARGE,	   /* 504, cause ResourceVersionTooLarge: the server is behind the version that was asked for */
	KUBE_BUSY,	   /* 429 */
	KUBE_UNAUTHORIZED, /* 401 */
	KUBE_FORBIDDEN,	   /* 403 */
	KUBE_MISSING,	   /* 404 */
	KUBE_REJECTED,	   /* any other 4xx */
	KUBE_FAILED,	   /* 5xx */
	KUBE_BROKEN,	   /* no connection, or it was cut */
	KUBE_GARBLED,	   /* what came is not what an API server says */
};

/* An outcome with what belongs to it. */
struct kube_verdict {
	enum kube_outcome outcome;
	long status;		 /* of HTTP, or of the Status object; 0: none */
	uint32_t retry_after_ms; /* 0: the server did not say */
	int error;		 /* for KUBE_BROKEN: negative errno */
	char text[256];		 /* the server's message, or curl's */
};

/* Of a request's end. */
struct kube_verdict kube_verdict_of(const struct kube_answer *answer);

/* Of a Status object, as an ERROR event of a watch carries it. */
struct kube_verdict kube_verdict_of_status(const json_t *status);

#define KUBE_TROUBLE_SIZE 480

/* One line about it. `namespace` NULL: all. Never holds a secret. Returns `buf`. */
char *kube_trouble_print(const struct kube_verdict *verdict, const struct kube_config *config, const char *namespace,
			 char buf[KUBE_TROUBLE_SIZE]);

#endif

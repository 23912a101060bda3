/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the environment says, read once per process: copied, because the program may change its environment under us.
 */
#ifndef FAIRDIAL_SHIM_SETTINGS_H
#define FAIRDIAL_SHIM_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/service_list.h"
#include "base/text.h"
#include "table/layout.h"

#define SETTINGS_PATH 256
#define SETTINGS_LIST SERVICE_LIST_SIZE

struct settings {
	uint8_t mode;	 /* enum fairdial_mode, of FAIRDIAL */
	int8_t balance;	 /* enum balance, or -1: as the table says */
	uint8_t trace;	 /* enum trace_part */
	bool has_dir;	 /* FAIRDIAL_DIR is set: look nowhere else */
	bool autostart;	 /* FAIRDIAL_AUTOSTART, where there is an API or a list that an agent could follow */
	uint32_t wait_ms; /* FAIRDIAL_WAIT; 0 also where autostart is asked for, and has nothing to follow */
	char dir[SETTINGS_PATH];
	char ledger[SETTINGS_PATH]; /* empty: beside the table */
	char beside[SETTINGS_PATH]; /* `run` beside libfairdial.so; empty where it is not known */
	char trace_path[SETTINGS_PATH];
	char only[SETTINGS_LIST], except[SETTINGS_LIST];
	uint32_t start_euid; /* the effective user when the program started */
	uint32_t shim_uid; /* the owner of libfairdial.so; UINT32_MAX: unknown */
};

#define SETTINGS_LONGEST_WAIT_MS 60000

/* Reads the environment, and traces what it does not understand of it. Not async-signal-safe (getenv(3)). */
void settings_read(struct settings *ret_settings);

/* A path as seen from the directory that the process is in now; empty where that does not fit, or cannot be told. */
void settings_make_absolute(char path[SETTINGS_PATH]);

/* Whether this process spreads a Service: FAIRDIAL_ONLY and FAIRDIAL_EXCEPT. Pure. */
bool settings_allow(const struct settings *settings, struct slice name, struct slice namespace);

static inline bool settings_choose(const struct settings *settings)
{
	return settings->only[0] || settings->except[0];
}

#endif

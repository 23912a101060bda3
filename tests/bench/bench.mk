# SPDX-License-Identifier: Apache-2.0
# make bench: what fairdial costs, in one table. BENCH="dial start" measures some parts.

BUILD ?= build
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
STRIP ?= strip
Q := $(if $(filter 1,$(V)),,@)
BENCH ?=
BENCH_CFLAGS := -std=gnu11 -O2 -g -Isrc -Itests/bench -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla $(if $(WERROR),-Werror) $(CFLAGS)
BENCH_DIR := $(BUILD)/bench
BENCH_SRC := $(wildcard tests/bench/bench*.c) tests/bench/run.c tests/bench/stats.c tests/bench/tables.c

.PHONY: bench
bench: $(addprefix $(BENCH_DIR)/,bench worker choose empty.so libfairdial-stripped.so)
	$(Q)$(BENCH_DIR)/bench $(BUILD) $(BENCH)

$(BENCH_DIR):
	$(Q)mkdir -p $@

$(BENCH_DIR)/bench: $(BENCH_SRC) tests/bench/bench.h | $(BENCH_DIR)
	$(Q)$(CC) $(BENCH_CFLAGS) -o $@ $(BENCH_SRC)

$(BENCH_DIR)/worker: tests/bench/worker.c | $(BENCH_DIR)
	$(Q)$(CC) $(BENCH_CFLAGS) -o $@ $<

# The shim's own objects, compiled as they are shipped; an archive gives only those that are needed, and so no hook.
$(BENCH_DIR)/choose: tests/bench/choose.c $(BUILD)/libfairdial.so | $(BENCH_DIR)
	$(Q)rm -f $(BENCH_DIR)/libshim.a
	$(Q)$(CROSS)ar rcs $(BENCH_DIR)/libshim.a $$(find $(BUILD)/shim -name '*.o' ! -name 'hook_*')
	$(Q)$(CC) $(BENCH_CFLAGS) -o $@ $< $(BENCH_DIR)/libshim.a

$(BENCH_DIR)/empty.so: tests/bench/empty.c | $(BENCH_DIR)
	$(Q)$(CC) -fPIC -shared -nostdlib -Wl,--hash-style=both -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -o $@ $<

$(BENCH_DIR)/libfairdial-stripped.so: $(BUILD)/libfairdial.so | $(BENCH_DIR)
	$(Q)$(STRIP) -o $@ $<

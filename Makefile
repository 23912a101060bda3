# SPDX-License-Identifier: Apache-2.0
# fairdial: `make help` lists the targets.

VERSION := 0.1.0
PREFIX ?= /usr/local
# The tool finds the shim in ../lib, ../lib64 and ../lib/MACHINE-linux-gnu, as seen from BINDIR.
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/fairdial
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
DESTDIR ?=
BUILD ?= build
CROSS ?=
CC := $(if $(filter default,$(origin CC)),$(CROSS)gcc,$(CC))
STRIP ?= $(CROSS)strip
READELF ?= $(CROSS)readelf
PKG_CONFIG ?= $(CROSS)pkg-config
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-5s %s\n' $(1) $(2))

# SAN=address|thread builds the tool and the tests under a sanitizer, in a folder of its own.
SAN ?=
OUT := $(BUILD)$(if $(SAN),/$(SAN))
, := ,
# COVERAGE=1 counts what runs. The shim, too: that one needs a C library, for the counts to be written when a program ends.
coverage_flags := $(if $(COVERAGE),--coverage -fprofile-update=atomic -O1 -DCOVERAGE)
san_flags := $(if $(filter address,$(SAN)),-fsanitize=address$(,)undefined -fno-sanitize-recover=all)$(if $(filter thread,$(SAN)),-fsanitize=thread)$(if $(FUZZER), -fsanitize=fuzzer-no-link) $(coverage_flags)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla $(if $(WERROR),-Werror)
COMMON := -std=gnu11 -O2 -g -Isrc -fno-strict-aliasing -D_GNU_SOURCE -DFAIRDIAL_VERSION='"$(VERSION)"' $(WARN) $(CPPFLAGS)
TOOL_CFLAGS := $(COMMON) $(san_flags) $(CFLAGS)
# The shim lives without a C library: no calls that a compiler would invent, no thread-local storage, no canary; but a
# thread that is cancelled in it unwinds through its frames. Whatever CFLAGS of a distribution say, ours come after them.
is_clang := $(findstring clang,$(CC))
machine := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))
is_aarch64 := $(filter aarch64,$(machine))
# Across files: a dial that is not ours crosses six of them, and that halves what it costs.
SHIM_LTO := $(if $(COVERAGE),,-flto=1 -flto-partition=one -ffat-lto-objects)
SHIM_CFLAGS := $(COMMON) $(CFLAGS) -fPIC -ffreestanding -fno-builtin -fno-stack-protector -U_FORTIFY_SOURCE -fvisibility=hidden \
	-fasynchronous-unwind-tables -falign-functions=32 $(if $(is_clang),,-fno-tree-loop-distribute-patterns -fconserve-stack $(SHIM_LTO)) \
	$(if $(is_aarch64),-mno-outline-atomics) $(coverage_flags)
# A dial may come from a signal handler on a small stack; a name lookup has the libc's own appetite beside it.
stack_limit = $(if $(findstring names,$1),1024,512)
SHIM_LDFLAGS := -shared -nostdlib -Wl,--hash-style=both -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack $(if $(COVERAGE),-Wl$(,)-z$(,)undefs,-Wl$(,)-z$(,)defs) \
	-Wl,--version-script=src/shim/exports.map -Wl,-soname,libfairdial.so -Wl,--build-id -Wl,--eh-frame-hdr

# The launcher of an installed tree has no C library at all, and one segment that is only read and run.
LAUNCH_CFLAGS := $(COMMON) $(CFLAGS) -Os -ffreestanding -fno-builtin -fno-stack-protector -U_FORTIFY_SOURCE -fno-pic -fno-asynchronous-unwind-tables \
	-fomit-frame-pointer $(if $(is_clang),,-fno-tree-loop-distribute-patterns) $(if $(is_aarch64),-mno-outline-atomics)
LAUNCH_LDFLAGS := -static -nostdlib -Wl,-z,noexecstack -Wl,-z,noseparate-code -Wl,--build-id=none -Wl,--gc-sections -s

# For YAML, a kubeconfig's and that of `fairdial inject`; `make YAML_LIBS=` builds without.
YAML_LIBS := $(shell $(PKG_CONFIG) --libs yaml-0.1 2>/dev/null)
# For `fairdial agent --listen`, and for `fairdial top`; likewise.
HTTPD_LIBS := $(shell $(PKG_CONFIG) --libs libmicrohttpd 2>/dev/null)
CURSES_LIBS := $(shell $(PKG_CONFIG) --libs ncursesw 2>/dev/null)
# dlopen is in a library of its own before glibc 2.34; later, and in musl, that one is empty.
LIBS := $(shell $(PKG_CONFIG) --libs libcurl jansson 2>/dev/null || echo -lcurl -ljansson) $(YAML_LIBS) $(HTTPD_LIBS) $(CURSES_LIBS) -ldl
LIB_CFLAGS := $(shell $(PKG_CONFIG) --cflags libcurl jansson 2>/dev/null) \
	$(if $(YAML_LIBS),-DHAVE_YAML $(shell $(PKG_CONFIG) --cflags yaml-0.1)) \
	$(if $(HTTPD_LIBS),-DHAVE_HTTPD $(shell $(PKG_CONFIG) --cflags libmicrohttpd)) \
	$(if $(CURSES_LIBS),-DHAVE_CURSES $(shell $(PKG_CONFIG) --cflags ncursesw))
# The API server that tests talk to needs TLS's other side; the tool has it from libcurl.
TEST_LIBS := $(shell $(PKG_CONFIG) --libs cmocka libssl libcrypto 2>/dev/null || echo -lcmocka -lssl -lcrypto)

CORE_SRC := $(wildcard src/base/*.c src/table/*.c src/ledger/*.c src/balance/*.c)
# What is the tool's alone, in folders of its own.
TOOL_SRC := $(wildcard $(addprefix src/,$(addsuffix /*.c,yaml model kube services agent metrics install inject inspect view explain top)))
CLI_SRC := $(wildcard src/cli/*.c)
SHIM_OWN_SRC := $(wildcard src/shim/*.c)
# What the shim takes of the shared folders; the rest needs a C library.
SHIM_SRC := $(filter-out src/base/report.c $(addprefix src/table/,writer.c patch.c image.c slots.c strings.c check.c note.c),$(CORE_SRC)) $(SHIM_OWN_SRC)
# What of the shim a hosted test can call: all but the hooks themselves.
SHIM_HOSTED_SRC := $(filter-out src/shim/hook_%.c src/shim/mem.c,$(SHIM_OWN_SRC))

SHIM_OBJ := $(SHIM_SRC:%.c=$(BUILD)/shim/%.o)
LIB_OBJ := $(patsubst %.c,$(OUT)/tool/%.o,$(CORE_SRC) $(TOOL_SRC) $(SHIM_HOSTED_SRC))
CLI_OBJ := $(CLI_SRC:%.c=$(OUT)/tool/%.o)
SUPPORT_OBJ := $(patsubst %.c,$(OUT)/tool/%.o,$(wildcard tests/support/*.c))
UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
INTEGRATION := $(patsubst tests/integration/%.c,%,$(wildcard tests/integration/test_*.c))
MAN_PAGES := $(wildcard src/man/*.[1-8])
HELPERS := $(patsubst tests/helpers/%.c,%,$(wildcard tests/helpers/*.c))

.PHONY: all
all: $(BUILD)/libfairdial.so $(BUILD)/fairdial-launcher $(OUT)/fairdial ## build the shim and the tool

$(BUILD)/libfairdial.so: $(SHIM_OBJ) src/shim/exports.map
	$(call say,LD,$@)
	$(Q)$(CC) $(SHIM_CFLAGS) $(SHIM_LDFLAGS) -o $@.tmp $(SHIM_OBJ) $(if $(COVERAGE),-lgcov) $(LDFLAGS)
	$(Q)mv -f $@.tmp $@

$(BUILD)/shim/%.o: %.c
	$(call say,CC,"$< (shim)")
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SHIM_CFLAGS) $(if $(is_clang)$(COVERAGE),,-Wstack-usage=$(call stack_limit,$<)) -MMD -MP -c -o $@ $<

# It says which version this is.
$(BUILD)/shim/src/shim/version.o: $(firstword $(MAKEFILE_LIST))

$(BUILD)/fairdial-launcher: src/launch/launch.c src/launch/launch.h $(wildcard src/base/*.h)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LAUNCH_CFLAGS) $(LAUNCH_LDFLAGS) -o $@.tmp $< $(LDFLAGS)
	$(Q)mv -f $@.tmp $@

# The tool carries it: wherever the tool is, it can install.
$(OUT)/tool/src/install/launcher.o: $(BUILD)/fairdial-launcher
$(OUT)/tool/src/install/launcher.o: private TOOL_CFLAGS += -DLAUNCHER_FILE='"$(BUILD)/fairdial-launcher"'

$(OUT)/libcore.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)$(CROSS)ar rcs $@ $^

$(OUT)/fairdial: $(CLI_OBJ) $(OUT)/libcore.a
	$(call say,LD,$@)
	$(Q)$(CC) $(TOOL_CFLAGS) -o $@ $^ $(LIBS) $(LDFLAGS)

$(OUT)/tool/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_CFLAGS) $(LIB_CFLAGS) -Itests -MMD -MP -c -o $@ $<

$(OUT)/tests/%: $(OUT)/tool/tests/unit/%.o $(SUPPORT_OBJ) $(OUT)/libcore.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_CFLAGS) -o $@ $^ $(TEST_LIBS) $(LIBS) -lpthread $(LDFLAGS)

$(OUT)/tests/%: $(OUT)/tool/tests/integration/%.o $(SUPPORT_OBJ) $(OUT)/libcore.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_CFLAGS) -o $@ $^ $(TEST_LIBS) $(LIBS) -lpthread $(LDFLAGS)

# With all that the tests have, but each for a while: `make chaos`, `make soak`.
$(OUT)/chaos/%: $(OUT)/tool/tests/chaos/%.o $(SUPPORT_OBJ) $(OUT)/libcore.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_CFLAGS) -o $@ $^ $(TEST_LIBS) $(LIBS) -lpthread $(LDFLAGS)

$(OUT)/chaos/chaos: $(patsubst %,$(OUT)/tool/tests/chaos/%.o,world programs sizes)
$(OUT)/chaos/soak: $(OUT)/tool/tests/chaos/sizes.o

# Small programs that tests run under the shim: plain C, nothing of the project in them.
$(BUILD)/helpers/%: tests/helpers/%.c $(wildcard tests/helpers/*.h)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -g -D_GNU_SOURCE $(WARN) -o $@ $< -lpthread

.SECONDARY:
-include $(shell find $(BUILD) \( -path $(BUILD)/roots -o -path $(BUILD)/differential -o -path $(BUILD)/next \) -prune -o -type f -name '*.d' -print 2>/dev/null)

# ---- tests: `make unit T="table pick" N='*draining*'` runs some ----

T ?=
N ?= *
chosen = $(if $(T),$(filter $(T:%=test_%),$(1)),$(1))
run_tests = sh tests/run.sh "$(OUT)/tests" "$(N)" $(call chosen,$(1))

# Those that take minutes begin first, so that none of them is left alone at the end.
SLOW := $(addprefix test_,oracle_connect moves chaos streams movers pools_runtimes pools conversations)

.PHONY: test
test: ## install what is missing, build, run all tests
	$(Q)sh tests/deps.sh
	$(Q)$(MAKE) --no-print-directory all build-tests
	$(Q)$(MAKE) --no-print-directory run-tests

.PHONY: build-tests
build-tests: all $(UNIT:%=$(OUT)/tests/%) $(INTEGRATION:%=$(OUT)/tests/%) $(HELPERS:%=$(BUILD)/helpers/%) $(OUT)/chaos/chaos

# Shim and tool of the version after this one, for tests of what happens where the two meet.
.PHONY: next
next:
	$(Q)sh tests/next.sh $(BUILD)/next/tree
	$(Q)+$(MAKE) $(if $(filter 1,$(V)),,-s) --no-print-directory -C $(BUILD)/next/tree -f $(CURDIR)/Makefile BUILD=.. SAN= VERSION=$(VERSION)-next all

.PHONY: run-tests
run-tests: build-tests next
	$(Q)$(call run_tests,$(SLOW) $(filter-out $(SLOW),$(UNIT) $(INTEGRATION)))

.PHONY: unit
unit: $(patsubst %,$(OUT)/tests/%,$(call chosen,$(UNIT))) ## build and run the unit tests (SAN=address|thread)
	$(Q)$(call run_tests,$(UNIT))

.PHONY: integration
integration: build-tests next ## build and run the tests with real programs
	$(Q)$(call run_tests,$(INTEGRATION))

.PHONY: check-layers
check-layers: $(BUILD)/libfairdial.so ## prove who may include whom
	$(Q)sh tests/check_layers.sh $(BUILD)

.PHONY: check-hazards
check-hazards: ## prove that each known hazard has a test
	$(Q)sh tests/check_hazards.sh

.PHONY: check-man
check-man: ## check the manual pages with man and mandoc
	$(Q)sh tests/check_man.sh $(MAN_PAGES)

.PHONY: check-elf
check-elf: $(BUILD)/libfairdial.so ## prove what any loader and host may rely on in the shim
	$(Q)READELF=$(READELF) sh tests/check_elf.sh $< $(machine)

# ---- aarch64: built with the packages of another root, run by qemu-user, each program with its libraries from there ----

ARM := aarch64-linux-gnu-
ARM_BUILD := $(BUILD)/aarch64
ARM_ROOT := $(CURDIR)/$(BUILD)/roots/arm64
ARM_MAKE = PKG_CONFIG_SYSROOT_DIR=$(ARM_ROOT) PKG_CONFIG_LIBDIR=$(ARM_ROOT)/usr/lib/aarch64-linux-gnu/pkgconfig \
	$(MAKE) --no-print-directory BUILD=$(ARM_BUILD) SAN= CROSS=$(ARM) CC="$(ARM)gcc --sysroot=$(ARM_ROOT)" PKG_CONFIG=pkg-config
# Tests of what the shim has in it: base, table, ledger, balance and its own.
ARM_UNIT := $(filter test_addr test_duration test_trace test_table% test_ledger% test_mend% test_ejection test_pick% test_pins \
	test_policies test_dial_rules test_slow_start test_move test_mark test_names% test_settings test_guard test_mem,$(UNIT))

.PHONY: aarch64-root
aarch64-root:
	$(Q)sh tests/roots.sh $(ARM_ROOT) arm64

# What tests/integration/test_aarch64.c runs.
.PHONY: aarch64
aarch64: aarch64-root
	$(Q)+$(ARM_MAKE) $(ARM_BUILD)/libfairdial.so $(ARM_BUILD)/fairdial-launcher $(ARM_BUILD)/helpers/dialer $(ARM_BUILD)/helpers/oddities

.PHONY: test-aarch64
test-aarch64: aarch64-root ## build the core's unit tests for aarch64, run them under qemu-user
	$(Q)+$(ARM_MAKE) $(ARM_UNIT:%=$(ARM_BUILD)/tests/%)
	$(Q)EMULATOR=qemu-aarch64-static QEMU_LD_PREFIX=$(ARM_ROOT) \
		sh tests/run.sh $(ARM_BUILD)/tests "$(N)" $(call chosen,$(ARM_UNIT))

.PHONY: check-model
check-model: ## verify models of the lock-free protocols under a weak memory; N=ledger: some
	$(Q)sh tests/model/run.sh $(BUILD) '$(N:*=.)'

# The first in PATH may be one without the modules of the distribution.
MANIFEST_PYTHON = $(shell for p in python3 /usr/bin/python3; do $$p -c 'import jsonschema, yaml' 2>/dev/null && echo $$p && break; done)
PYTHON = $(or $(MANIFEST_PYTHON),python3)

.PHONY: check-manifests
check-manifests: $(OUT)/fairdial ## check all Kubernetes manifests against the API's own schemas
	$(Q)[ -n "$(MANIFEST_PYTHON)" ] || { echo 'check-manifests: no python3 here has yaml and jsonschema: make deps' >&2; exit 1; }
	$(Q)PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/manifests/check.py $(OUT)

# Real kubectl, in a sandbox of namespaces; MANIFEST_PYTHON, because its server judges manifests where it can.
.PHONY: check-readme
check-readme: all ## execute every command of README.md and of the pages in examples
	$(Q)PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/readme/check.py $(CURDIR) $(OUT)

.PHONY: readme
readme: all ## take the pictures of a terminal in README.md anew
	$(Q)PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/readme/picture.py $(CURDIR) $(OUT)

.PHONY: readme-figures
readme-figures: ## take the figures in README.md from the last whole run of bench BENCH=versus
	$(Q)PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/readme/figures.py $(CURDIR) $(OUT)

# STANDIN=1: without a cluster, against a small stand-in for its API.
STANDIN ?=

.PHONY: test-cluster
test-cluster: ## test the agent against the cluster of KUBECONFIG, or STANDIN=1
ifeq ($(KUBECONFIG)$(STANDIN),)
	@echo 'test-cluster: set KUBECONFIG to the kubeconfig of a cluster you administer, or try STANDIN=1' >&2; exit 2
else
	$(Q)$(MAKE) --no-print-directory all
	$(Q)PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/cluster/cluster.py $(BUILD) $(if $(STANDIN),--standin)
endif

# SUITE="libuv test_ssl" runs some; PART=ci what .ci/run has time for.
SUITE ?=
PART ?=

.PHONY: test-differential
test-differential: ## run test suites that others wrote, with and without the shim
	$(Q)sh tests/deps.sh differential
	$(Q)$(MAKE) --no-print-directory all
	$(Q)PYTHONDONTWRITEBYTECODE=1 python3 tests/differential/differential.py $(BUILD) $(if $(PART),--part $(PART)) $(SUITE)

# ---- fuzzing: `make fuzz T=table TIME=60`; without T, each target for so long, JOBS at once (the machine's processors) ----

TIME ?= 60
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_COMMON := $(patsubst %,$(OUT)/tool/tests/fuzz/%.o,fuzz models ledgers tables)
fuzz_targets = $(if $(T),$(filter $(T),$(FUZZ)),$(FUZZ))

$(OUT)/fuzz/%: $(OUT)/tool/tests/fuzz/fuzz_%.o $(FUZZ_COMMON) $(OUT)/libcore.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_CFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS) $(LDFLAGS)

$(OUT)/replay/%: $(OUT)/tool/tests/fuzz/fuzz_%.o $(OUT)/tool/tests/fuzz/replay.o $(FUZZ_COMMON) $(OUT)/libcore.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_CFLAGS) -o $@ $^ $(LIBS) $(LDFLAGS)

# Built by clang, with coverage for libFuzzer in all that a target calls.
FUZZ_MAKE = $(MAKE) $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) --no-print-directory BUILD=$(BUILD)/clang-fuzz CC=clang SAN=address FUZZER=1

.PHONY: fuzz
fuzz: ## fuzz each target for TIME seconds, or T=table alone; what it finds is in build/fuzz-found
	$(if $(fuzz_targets),,$(error T=$(T): there is no tests/fuzz/fuzz_$(T).c))
	$(Q)sh tests/deps.sh fuzz
	$(Q)+$(FUZZ_MAKE) $(fuzz_targets:%=$(BUILD)/clang-fuzz/address/fuzz/%)
	$(Q)sh tests/fuzz/run.sh $(BUILD) "$(TIME)" $(fuzz_targets)

.PHONY: fuzz-replay
fuzz-replay: $(fuzz_targets:%=$(OUT)/replay/%) ## the fuzz targets on their corpus (SAN=address)
	$(Q)for t in $(fuzz_targets); do $(OUT)/replay/$$t tests/fuzz/corpus/$$t >$(OUT)/replay/$$t.out 2>$(OUT)/replay/$$t.err || \
		{ tail -5 $(OUT)/replay/$$t.err; echo "FAIL  $$t"; exit 1; }; echo "ok    $$t: $$(cat $(OUT)/replay/$$t.out)"; done

# The names of some tests in T; build/coverage/index.html shows each line.
.PHONY: coverage
coverage: ## lines and branches of src that the tests reach
	$(Q)sh tests/deps.sh coverage
	$(Q)MAKE="$(MAKE)" sh tests/coverage.sh $(BUILD) $(if $(T),$(call chosen,$(UNIT) $(INTEGRATION)))

# ---- chaos and soak: `make chaos SEED=7 TIME=60`, `make soak TIME=36000` ----

SEED ?=
CHAOS_HELPERS := $(addprefix $(BUILD)/helpers/,dialer torture turns)
play = FAIRDIAL_TEST_ROOT=$(CURDIR) CMOCKA_MESSAGE_OUTPUT=stdout $(if $(SEED),SEED=$(SEED)) TIME=$(TIME)

.PHONY: chaos
chaos: all next $(OUT)/chaos/chaos $(CHAOS_HELPERS) ## all that may go wrong at once, for TIME seconds; SEED=n does the same again
	$(Q)$(play) $(OUT)/chaos/chaos

.PHONY: soak
soak: TIME := $(if $(filter file,$(origin TIME)),600,$(TIME))
soak: all $(OUT)/chaos/soak $(CHAOS_HELPERS) ## ten minutes (TIME) of everything in use: whether memory grows
	$(Q)$(play) $(OUT)/chaos/soak

# ---- benchmarks ----

# BENCH="dial start" measures some parts; that of the agent is "follow", and "versus" compares with kube-proxy's rules and with proxies:
# ROUNDS turns of each, TIME seconds of load in one; QUICK=1: as short as it goes, for whether all of it answers.
BENCH ?=
ROUNDS ?=
QUICK ?=
BENCH_CFLAGS := $(COMMON) -Itests/bench $(CFLAGS)
BENCH_DIR := $(BUILD)/bench
BENCH_SRC := $(wildcard tests/bench/bench*.c) $(addprefix tests/bench/,run.c stats.c tables.c)
BENCH_OWN := $(addprefix $(BENCH_DIR)/,bench worker choose publisher empty.so libfairdial-stripped.so)
BENCH_VERSUS := $(addprefix $(BENCH_DIR)/,versus-backend versus-client versus-change)
versus = $(if $(QUICK),PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover -q -s tests/bench/versus &&) PYTHONDONTWRITEBYTECODE=1 FAIRDIAL_TEST_ROOT=$(CURDIR) python3 tests/bench/versus/versus.py $(BUILD) \
	$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(filter command line environment,$(origin TIME)),--seconds $(TIME)) $(if $(QUICK),--quick)

.PHONY: bench
bench: all $(BENCH_OWN) $(BENCH_DIR)/follow $(BENCH_VERSUS) ## measure, as ratios in one run
	$(Q)[ -n "$(BENCH)" ] && [ -z "$(filter-out follow versus,$(BENCH))" ] || $(BENCH_DIR)/bench $(BUILD) $(filter-out follow versus,$(BENCH))
	$(Q)[ -z "$(if $(BENCH),$(filter follow,$(BENCH)),all)" ] || FAIRDIAL_TEST_ROOT=$(CURDIR) $(BENCH_DIR)/follow
	$(Q)[ -z "$(if $(BENCH),$(filter versus,$(BENCH)),all)" ] || { sh tests/deps.sh bench && $(versus); }

# Counts repeat where times do not. UPDATE=1 writes the baseline anew.
UPDATE ?=

.PHONY: bench-instructions
bench-instructions: all $(BENCH_OWN) ## count instructions with callgrind; fails when a count grew by more than a tenth
	$(Q)CC="$(CC)" sh tests/bench/instructions.sh $(BUILD) $(if $(UPDATE),update)

$(BENCH_DIR):
	$(Q)mkdir -p $@

$(BENCH_DIR)/bench: $(BENCH_SRC) tests/bench/bench.h | $(BENCH_DIR)
	$(call say,LD,$@)
	$(Q)$(CC) $(BENCH_CFLAGS) -o $@ $(BENCH_SRC)

# The agent with the API server of the tests.
$(BENCH_DIR)/follow: $(OUT)/tool/tests/bench/follow.o $(SUPPORT_OBJ) $(OUT)/libcore.a | $(BENCH_DIR)
	$(call say,LD,$@)
	$(Q)$(CC) $(TOOL_CFLAGS) -o $@ $^ $(TEST_LIBS) $(LIBS) -lpthread $(LDFLAGS)

$(BENCH_DIR)/versus-change: $(OUT)/tool/tests/bench/change.o $(SUPPORT_OBJ) $(OUT)/libcore.a | $(BENCH_DIR)
	$(call say,LD,$@)
	$(Q)$(CC) $(TOOL_CFLAGS) -o $@ $^ $(TEST_LIBS) $(LIBS) -lpthread $(LDFLAGS)

$(BENCH_DIR)/versus-%: tests/bench/versus/%.c | $(BENCH_DIR)
	$(call say,CC,$<)
	$(Q)$(CC) $(BENCH_CFLAGS) -o $@ $<

$(BENCH_DIR)/worker: tests/bench/worker.c | $(BENCH_DIR)
	$(Q)$(CC) $(BENCH_CFLAGS) -o $@ $<

# The shim's own objects, but each by itself, without the optimisation across files of the object that is shipped; an archive
# gives only those that are needed, and so no hook.
$(BENCH_DIR)/choose: tests/bench/choose.c $(SHIM_OBJ) | $(BENCH_DIR)
	$(Q)rm -f $(BENCH_DIR)/libshim.a
	$(Q)$(CROSS)ar rcs $(BENCH_DIR)/libshim.a $(filter-out %/hook_connect.o %/hook_names.o,$(SHIM_OBJ))
	$(Q)$(CC) $(BENCH_CFLAGS) -o $@ $< $(BENCH_DIR)/libshim.a

$(BENCH_DIR)/publisher: tests/bench/publisher.c $(OUT)/libcore.a | $(BENCH_DIR)
	$(Q)$(CC) $(BENCH_CFLAGS) -o $@ $^

$(BENCH_DIR)/empty.so: tests/bench/empty.c | $(BENCH_DIR)
	$(Q)$(CC) -fPIC -shared -nostdlib -Wl,--hash-style=both -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -o $@ $<

$(BENCH_DIR)/libfairdial-stripped.so: $(BUILD)/libfairdial.so | $(BENCH_DIR)
	$(Q)$(STRIP) -o $@ $<

.PHONY: deps
deps: ## install what building and testing need (root or sudo)
	$(Q)sh tests/deps.sh

.PHONY: build-deps
build-deps: ## install what building and a first try need, a tenth of that
	$(Q)sh tests/deps.sh build

# All processors, unless somebody said how many: it is a newcomer's first build.
.PHONY: demo
demo: ## show the main job: curl and the mysql CLI, spread over local servers
	$(Q)sh tests/deps.sh demo
	$(Q)$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) all
	$(Q)sh examples/demo.sh

# ---- what is installed, and packages ----

# MODE,FILE,PLACE. A file in use is never written to: it is replaced.
INSTALLS = 755,$(BUILD)/fairdial,$(BINDIR)/fairdial 755,$(BUILD)/libfairdial.so,$(LIBDIR)/libfairdial.so 644,README.md,$(DOCDIR)/README.md \
	$(foreach f,$(wildcard src/man/*.[157]),644,$f,$(MANDIR)/man$(subst .,,$(suffix $f))/$(notdir $f)) \
	$(patsubst %,644$(,)%$(,)$(BASHDIR)/fairdial,$(wildcard src/completion/fairdial.bash)) \
	$(patsubst %,644$(,)%$(,)$(ZSHDIR)/_fairdial,$(wildcard src/completion/_fairdial)) \
	$(foreach f,$(EXAMPLES),644,$f,$(DOCDIR)/$f)
EXAMPLES = $(sort $(shell find examples -type f))
# A blank would cut a name into two, of which the first might be somebody's file.
no_blanks = $(foreach v,PREFIX BINDIR LIBDIR MANDIR DOCDIR BASHDIR ZSHDIR,$(if $(word 2,$($v)),$(error $v has a blank in it: only DESTDIR may)))
each_install = $(no_blanks)set -e; for row in $(INSTALLS); do rest=$${row\#*,} mode=$${row%%,*} file=$${rest%%,*} place="$(DESTDIR)$${rest\#*,}"; $(1); done

.PHONY: install
install: all ## install under PREFIX (DESTDIR, LIBDIR and their like are honoured)
	$(Q)$(call each_install,install -D -m $$mode $$file "$$place.tmp"; mv -f "$$place.tmp" "$$place")

.PHONY: uninstall
uninstall: ## remove what `make install` with the same settings installed
	$(Q)$(call each_install,rm -f "$$place")
	$(Q)if [ -d "$(DESTDIR)$(DOCDIR)" ]; then find "$(DESTDIR)$(DOCDIR)" -depth -type d -exec rmdir '{}' + 2>/dev/null || true; fi

.PHONY: dist
dist: ## the sources as build/dist/fairdial-VERSION.tar.gz, the same for the same sources
	$(Q)sh src/package/dist.sh $(VERSION) $(BUILD)/dist

.PHONY: check-dist
check-dist: dist ## build what `make dist` packs, pack it again, compare
	$(Q)sh tests/package/check_dist.sh $(VERSION) $(BUILD)/dist

.PHONY: deb
deb: dist ## Debian packages, in build/deb
	$(Q)sh src/package/deb.sh $(VERSION) $(BUILD)/dist $(BUILD)/deb

.PHONY: check-deb
check-deb: deb ## lint the packages, install, run and purge them in another system (root)
	$(Q)READELF=$(READELF) sh tests/package/check_deb.sh $(VERSION) $(BUILD)/deb $(BUILD)/roots $(machine)

.PHONY: check-image
check-image: ## build the image of examples/kubernetes with buildah, without a registry, look into it (root)
	$(Q)sh tests/package/check_image.sh $(BUILD)/roots

.PHONY: check-newcomer
check-newcomer: ## do what README.md says under "Try it", in a system that has nothing (root)
	$(Q)sh tests/newcomer.sh $(BUILD)/roots

.PHONY: clean
clean: ## remove what was built
	$(Q)rm -rf $(BUILD)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  V=1 shows commands; SAN=address|thread; T=pick N="*draining*" runs some tests; CROSS=aarch64-linux-gnu-'

# SPDX-License-Identifier: Apache-2.0
# The tests: `make test` runs all, `make unit`, `make integration` a kind, `make unit T=table N='*draining*'` some.

T ?=
N ?= *
run_tests = sh tests/run.sh "$(OUT)/tests" "$(N)" $(if $(T),$(filter test_$(T),$(1)),$(1))

.PHONY: test
test: ## install what is missing, build, run all tests
	$(Q)sh tests/deps.sh
	$(Q)$(MAKE) --no-print-directory all build-tests
	$(Q)$(MAKE) --no-print-directory run-tests

.PHONY: build-tests
build-tests: all $(UNIT:%=$(OUT)/tests/%) $(INTEGRATION:%=$(OUT)/tests/%) $(HELPERS:%=$(BUILD)/helpers/%)

.PHONY: run-tests
run-tests: build-tests
	$(Q)$(call run_tests,$(UNIT) $(INTEGRATION))

.PHONY: unit
unit: $(UNIT:%=$(OUT)/tests/%) ## build and run the unit tests (SAN=address|thread)
	$(Q)$(call run_tests,$(UNIT))

.PHONY: integration
integration: build-tests ## build and run the tests with real programs
	$(Q)$(call run_tests,$(INTEGRATION))

.PHONY: check-layers
check-layers: $(BUILD)/libfairdial.so ## prove who may include and need whom
	$(Q)sh tests/check_layers.sh $(BUILD)

.PHONY: bench
bench: all ## measure, as ratios within one run
	$(Q)$(MAKE) --no-print-directory -f tests/bench/bench.mk bench

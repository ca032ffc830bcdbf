# Sanitizers and fuzzers, in separate builds (build/sanitized, build/fuzz) with the gnu sysroot, because the sanitizer runtimes
# need glibc and Debian's libc++.
# `make fuzz-NAME` builds tests/fuzz/NAME.cc (LLVMFuzzerTestOneInput) and runs it for FUZZ_SECONDS over tests/fuzz/corpus/NAME.
# Findings go to build/fuzz/found-NAME; the corpus in the tree does not change.

FUZZ_SECONDS ?= 60
gnu_sysroot = $(shell .toolchain/build-sysroot --path gnu)
sanitize := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# Used after a literal $(MAKE) in the recipe, because make passes its jobs only to those.
gnu = --no-print-directory CXX=$(gnu_sysroot)/bin/c++ PKG_CONFIG=$(gnu_sysroot)/bin/pkg-config STATIC=

.PHONY: gnu-sysroot
gnu-sysroot:
	@.toolchain/build-sysroot gnu tests

# Excludes the tests of PID 1: they start stage1 as the only file of a root, so it must be static, which is impossible with a
# sanitizer runtime.
.PHONY: test-sanitized
test-sanitized: gnu-sysroot ## the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) $(gnu) BUILD=build/sanitized CXXFLAGS="-O1 -g1 $(sanitize)" LDFLAGS="$(sanitize)" build/sanitized/tests/unit build/sanitized/runvm
	build/sanitized/tests/unit '~"PID 1*"~"a fault or an abort of PID 1*"~"stage1 as the only program*"'

.PHONY: fuzz-%
fuzz-%: tests/fuzz/%.cc gnu-sysroot
	@$(MAKE) $(gnu) BUILD=build/fuzz CXXFLAGS="-O1 -g1 $(sanitize) -fsanitize=fuzzer-no-link" LDFLAGS="$(sanitize)" build/fuzz/run/$*
	@mkdir -p build/fuzz/corpus-$* build/fuzz/found-$*
	build/fuzz/run/$* -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=build/fuzz/found-$*/ -print_final_stats=1 \
	    build/fuzz/corpus-$* $(wildcard tests/fuzz/corpus/$*)

# Debian's libFuzzer is C++ code that uses libstdc++.
$(BUILD)/run/%: $(BUILD)/obj/tests/fuzz/%.o $(call objects,$(MOUNTS) $(UNIONFS) $(STAGE1) $(HOSTSIDE))
	@mkdir -p $(@D)
	@echo 'LINK $@'
	@$(CXX) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBRARIES) -l:libstdc++.so.6

# All fuzzers for a moment each with their corpus, in the ordinary build; CI runs this.
short_fuzzers := boot_input decompress exec_frames modules registration
$(BUILD)/fuzz/replay-%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/replay.o $(call objects,$(MOUNTS) $(UNIONFS) $(STAGE1) $(HOSTSIDE))
	@mkdir -p $(@D)
	@echo 'LINK $@'
	@$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(LIBRARIES)

.PHONY: fuzz-short
fuzz-short: $(short_fuzzers:%=$(BUILD)/fuzz/replay-%) $(BUILD)/fuzz/union all ## every fuzzer for FUZZ_SECONDS (here 5) each, with its corpus
	@for one in $(short_fuzzers); do \
	    $(BUILD)/fuzz/replay-$$one $(or $(filter-out 60,$(FUZZ_SECONDS)),5) $(BUILD)/fuzz/found-$$one $$(find tests/fuzz/corpus/$$one -type f 2>/dev/null) || \
	    { echo "the input is $(BUILD)/fuzz/found-$$one" >&2; exit 1; }; done
	@$(MAKE) --no-print-directory fuzz-union FUZZ_SECONDS=$(or $(filter-out 60,$(FUZZ_SECONDS)),5)
.PRECIOUS: $(BUILD)/obj/tests/fuzz/%.o

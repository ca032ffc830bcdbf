# The parity suite, with crashes and power cuts, against sanitized builds of the union; included from tests/tests.mk. Sanitizer
# reports go to files, because the daemon has no terminal, and a worker that ends is replaced. Two tests are excluded: one
# measures resident memory, which a sanitizer changes, and one checks a message whose end comes from libc, here glibc.

$(BUILD)/sanitized-union/unionfs: $(call objects,$(MOUNTS) $(UNIONFS) $(STAGE1) stage1/main.cc)
	@mkdir -p $(@D)
	@echo 'LINK $@'
	@$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(LIBRARIES)
	@ln -sf unionfs $(@D)/stage1

thread := -fsanitize=thread -fno-omit-frame-pointer
sanitized_union = $(gnu) BUILD=build/$1 CXXFLAGS="-O1 -g1 -DCHECK_LOCK_ORDER $2" LDFLAGS="$2" build/$1/sanitized-union/unionfs
run_sanitized = rm -rf build/$1/said && mkdir -p build/$1/said && UNIONFS=build/$1/sanitized-union/unionfs \
    $2="log_path=$(CURDIR)/build/$1/said/what $3" $(BUILD)/tests/parity $4 || status=$$?; \
    head -n 60 -q build/$1/said/* 2>/dev/null | head -n 200 >&2; [ "$${status:-0}" = 0 ] && [ -z "$$(ls build/$1/said)" ]

all_but_two := '~"max_files*"~"an upper or workdir*"'

.PHONY: test-union-sanitized
test-union-sanitized: $(BUILD)/tests/parity gnu-sysroot ## the parity suite under AddressSanitizer with UndefinedBehaviorSanitizer, then under ThreadSanitizer
	@$(MAKE) $(call sanitized_union,sanitized,$(sanitize))
	$(call run_sanitized,sanitized,ASAN_OPTIONS,detect_leaks=0,$(all_but_two))
	@$(MAKE) $(call sanitized_union,threads,$(thread))
	$(call run_sanitized,threads,TSAN_OPTIONS,,$(all_but_two))

# CI runs this. Of the launcher, whose compilation takes as long as the rest, only the file that a fuzzer needs is compiled.
$(BUILD)/sanitized-readers/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/replay.o $(BUILD)/obj/hostside/boot/module_image.o \
    $(call objects,$(MOUNTS) $(UNIONFS) $(STAGE1))
	@mkdir -p $(@D)
	@echo 'LINK $@'
	@$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(LIBRARIES)

SANITIZED_parity := [\#hostile_layers],[\#old_layers],[\#replaced],[\#faulty_layers],[\#copied_up]
.PHONY: sanitized-short
sanitized-short: $(BUILD)/tests/parity ## every fuzzer's corpus, and attacks on the union, under AddressSanitizer and UndefinedBehaviorSanitizer
	@.toolchain/build-sysroot gnu
	@$(MAKE) $(gnu) BUILD=build/sanitized CXXFLAGS="-O1 -g1 $(sanitize)" LDFLAGS="$(sanitize)" \
	    build/sanitized/sanitized-union/unionfs $(short_fuzzers:%=build/sanitized/sanitized-readers/%)
	@for one in $(short_fuzzers); do \
	    build/sanitized/sanitized-readers/$$one $(or $(filter-out 60,$(FUZZ_SECONDS)),3) build/sanitized/found-$$one \
	        $$(find tests/fuzz/corpus/$$one -type f 2>/dev/null) || \
	    { echo "the input is build/sanitized/found-$$one" >&2; exit 1; }; done
	$(call run_sanitized,sanitized,ASAN_OPTIONS,detect_leaks=0,--filenames-as-tags '$(SANITIZED_parity)')

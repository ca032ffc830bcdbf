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
    $2="log_path=$(CURDIR)/build/$1/said/what $3" $(BUILD)/tests/parity '~"max_files*"~"an upper or workdir*"' && \
    { [ -z "$$(ls build/$1/said)" ] || { head -n 60 build/$1/said/* >&2; exit 1; }; }

.PHONY: test-union-sanitized
test-union-sanitized: $(BUILD)/tests/parity gnu-sysroot ## the parity suite under AddressSanitizer with UndefinedBehaviorSanitizer, then under ThreadSanitizer
	@$(MAKE) $(call sanitized_union,sanitized,$(sanitize))
	$(call run_sanitized,sanitized,ASAN_OPTIONS,detect_leaks=0)
	@$(MAKE) $(call sanitized_union,threads,$(thread))
	$(call run_sanitized,threads,TSAN_OPTIONS,)

# The union's differential fuzzer; included from tests/tests.mk.

$(BUILD)/fuzz/union: $(call objects,tests/fuzz/union.cc tests/support/backing.cc tests/support/disk.cc $(wildcard mounts/base/*.cc))
	@mkdir -p $(@D)
	@echo 'LINK $@'
	@$(CXX) $(ALL_LDFLAGS) -o $@ $^

union_backings := tmpfs ext4
union_modes := store throughput throughput,stale_readers
.PHONY: fuzz-union
fuzz-union: $(BUILD)/fuzz/union all ## random operations on the union, overlayfs and a plain directory, until they differ or FUZZ_SECONDS (30) are over
	@while read -r line; do $(foreach b,$(union_backings),$< --backing $b --replay "$$line" &&) true || exit 1; done \
	    < tests/fuzz/union.regressions
	$(foreach b,$(union_backings),$(foreach m,$(union_modes),$< --backing $b --mode $m --seconds $(or $(FUZZ_SECONDS),30) &&)) true
	$(foreach b,$(union_backings),$(foreach m,$(union_modes),$< --backing $b --mode $m --against plain --callers many \
	    --seconds $(or $(FUZZ_SECONDS),30) &&)) true
	$< --callers many --seconds $(or $(FUZZ_SECONDS),30)

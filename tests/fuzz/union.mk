# The union's differential fuzzer; included from tests/tests.mk.

$(BUILD)/fuzz/union: tests/fuzz/union.cc
	@mkdir -p $(@D)
	@echo 'LINK $@'
	@$(CXX) $(ALL_CXXFLAGS) $(ALL_LDFLAGS) -o $@ $<

.PHONY: fuzz-union
fuzz-union: $(BUILD)/fuzz/union all ## random operations on the union and on overlayfs, until they differ or FUZZ_SECONDS (30) are over
	@while read -r line; do $< --replay "$$line" || exit 1; done < tests/fuzz/union.regressions
	$< --mode store --seconds $(or $(FUZZ_SECONDS),30)
	$< --mode throughput --seconds $(or $(FUZZ_SECONDS),30)
	$< --mode throughput,stale_readers --seconds $(or $(FUZZ_SECONDS),30)

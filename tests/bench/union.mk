# The union's benchmark; included from tests/tests.mk.

$(BUILD)/bench/union: tests/bench/union.cc
	@mkdir -p $(@D)
	@echo 'LINK $@'
	@$(CXX) $(ALL_CXXFLAGS) -O2 $(ALL_LDFLAGS) -o $@ $<

.PHONY: bench-union
bench-union: $(BUILD)/bench/union all ## the union against overlayfs, fuse-overlayfs and unionfs-fuse: table and build/bench-union.json
	@.toolchain/install-packages "make bench-union" fuse-overlayfs unionfs-fuse
	$(BUILD)/bench/union $(BENCH_UNION) $(BUILD)/bench-union.json

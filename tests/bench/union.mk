# The union's benchmark; included from tests/tests.mk.

bench_union := $(wildcard tests/bench/union/*.cc) tests/support/rings.cc
$(BUILD)/bench/union: $(bench_union) $(wildcard tests/bench/union/*.h)
	@mkdir -p $(@D)
	@echo 'LINK $@'
	@$(CXX) $(ALL_CXXFLAGS) -O2 $(ALL_LDFLAGS) -o $@ $(bench_union)

# BENCH_UNION takes its options: `make bench-union BENCH_UNION=--help` lists them.
.PHONY: bench-union
bench-union: $(BUILD)/bench/union all ## the union against overlayfs, fuse-overlayfs and unionfs-fuse: table and build/bench-union.json
	@.toolchain/install-packages "make bench-union" fuse-overlayfs unionfs-fuse git gcc make libc6-dev
	$(BUILD)/bench/union $(BENCH_UNION) $(BUILD)/bench-union.json

.PHONY: bench-union-9p
bench-union-9p: all ## the union's engines over a 9p lower in a machine: table and build/bench-union-9p.json
	@.toolchain/install-packages "make bench-union-9p" python3
	@tests/support/with-machine tests/bench/union-9p $(BUILD) $(BUILD)/bench-union-9p.json

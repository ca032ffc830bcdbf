# Compares the native registration with `nix-store --load-db`: same text, same disk, alternating runs.
.PHONY: bench-nixdb
bench-nixdb: all ## loading 10 to 100,000 paths, ours and nix-store; table and build/bench-nixdb.json
	@.toolchain/install-packages "make bench-nixdb" nix-bin time
	tests/bench/nixdb build/stage1 build/bench-nixdb.json

.PHONY: test-nixdb-large
test-nixdb-large: $(BUILD)/tests/unit all test-tools ## 30,000 paths registered natively and by each real Nix: the same?
	$< "[large]" --durations yes

.PHONY: bench-store
bench-store: all test-tools ## the store over 9p, with our union, over virtiofs and as an image: table and build/bench-store.json
	@.toolchain/install-packages "make bench-store" python3 nix-bin tcc
	@tests/support/with-machine tests/bench/store $(BUILD) $(BUILD)/bench-store.json

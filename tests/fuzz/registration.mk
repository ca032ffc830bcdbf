# Compares our loading of registrations with real Nix; included from tests/tests.mk.

.PHONY: fuzz-nix-store
fuzz-nix-store: all ## random registrations loaded by us and by nix-store --load-db for FUZZ_SECONDS (60): the same database?
	@.toolchain/install-packages "make fuzz-nix-store" nix-bin
	tests/fuzz/registration-differential $(BUILD)/stage1 nix-store $(FUZZ_SECONDS)

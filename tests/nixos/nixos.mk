.PHONY: test-nixos
test-nixos: $(BUILD)/runvm ## the NixOS module for every configuration of tests/nixos; NIXPKGS=DIR: by NixOS's own modules too
	@.toolchain/install-packages "make test-nixos" nix-bin python3 patch
	@NIXPKGS='$(NIXPKGS)' NIXPKGS_LIB='$(or $(NIXPKGS_LIB),$(NIXPKGS:%=%/lib))' tests/nixos/run --mutants $<

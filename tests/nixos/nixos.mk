.PHONY: test-nixos
test-nixos: $(BUILD)/runvm ## the NixOS module for every configuration of tests/nixos; NIXPKGS=DIR: by NixOS's own modules too
	@.toolchain/install-packages "make test-nixos" nix-bin python3 patch
	@NIXOS_2013='$(NIXOS_2013)' NIXPKGS_2015_LIB='$(NIXPKGS_2015_LIB)' NIXPKGS='$(NIXPKGS)' NIXPKGS_LIB='$(or $(NIXPKGS_LIB),$(NIXPKGS:%=%/lib))' tests/nixos/run --mutants $<

.PHONY: test-driver
test-driver: all ## NixOS's own test driver with runvm's machines: NIXPKGS=DIR
	@[ -n '$(NIXPKGS)' ] || { echo "test-driver: NIXPKGS=DIR names a nixpkgs" >&2; exit 1; }
	@.toolchain/install-packages "make test-driver" python3 python3-colorama python3-junit.xml vde2
	@NIXPKGS='$(NIXPKGS)' tests/support/with-machine tests/nixos/test-driver $(BUILD)/runvm

.PHONY: test-stage-1
test-stage-1: all ## real stage-1-init.sh with our hooks: STAGE_1_SCRIPTS="FILE..." or NIXPKGS=DIR
	@[ -n '$(STAGE_1_SCRIPTS)$(NIXPKGS)' ] || { echo "test-stage-1: STAGE_1_SCRIPTS names scripts of nixpkgs, or NIXPKGS=DIR one" >&2; exit 1; }
	@.toolchain/install-packages "make test-stage-1" python3 procps busybox-static
	@tests/support/with-machine tests/nixos/real-stage-1 $(BUILD) $(or $(STAGE_1_SCRIPTS),$(NIXPKGS)/nixos/modules/system/boot/stage-1-init.sh)

.PHONY: test-build-vm
test-build-vm: all ## what `nixos-rebuild build-vm` makes with our module, built by Nix and booted: NIXPKGS=DIR
	@[ -n '$(NIXPKGS)' ] || { echo "test-build-vm: NIXPKGS=DIR names a nixpkgs" >&2; exit 1; }
	@.toolchain/install-packages "make test-build-vm" nix-bin python3 busybox-static kmod binutils
	@NIXPKGS='$(NIXPKGS)' NIXPKGS_LIB='$(NIXPKGS_LIB)' tests/support/with-machine tests/nixos/build-vm $(BUILD)

.PHONY: test-flake
test-flake: ## flake.nix and default.nix by Nix itself, with the packages of NIXPKGS=DIR, offline
	@[ -n '$(NIXPKGS)' ] || { echo "test-flake: NIXPKGS=DIR names a nixpkgs, packages and all" >&2; exit 1; }
	@.toolchain/install-packages "make test-flake" nix-bin python3 git
	@NIXPKGS='$(NIXPKGS)' tests/nixos/flake-by-nix

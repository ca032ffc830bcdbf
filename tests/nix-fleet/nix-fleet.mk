.PHONY: test-nix-fleet
test-nix-fleet: all ## a fleet on two real remote builders of Nix, one of which dies amid its builds (root)
	@[ "$$(id -u)" = 0 ] || { echo "test-nix-fleet: needs root, for namespaces and sshd" >&2; exit 1; }
	@.toolchain/install-packages "make test-nix-fleet" nix-bin openssh-server openssh-client iproute2 procps libxml2-utils
	@tests/support/with-machine tests/nix-fleet/fleet $(BUILD)/runvm

.PHONY: test-slurm
test-slurm: all ## a fleet on a real Slurm of two nodes, one of which dies amid its tasks (root)
	@[ "$$(id -u)" = 0 ] || { echo "test-slurm: needs root, for Slurm is installed over this system, in a mount namespace" >&2; exit 1; }
	@.toolchain/install-packages "make test-slurm" procps libxml2-utils
	@tests/support/with-machine tests/slurm/in-namespace tests/slurm/fleet $(abspath $(BUILD)/runvm)

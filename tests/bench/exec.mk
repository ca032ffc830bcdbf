.PHONY: bench-exec
bench-exec: all ## commands and bytes in a machine, runvm exec against ssh over the user network
	@.toolchain/install-packages "make bench-exec" dropbear-bin
	@tests/support/with-machine tests/bench/exec $(BUILD)/runvm $(BUILD)/bench-exec.json

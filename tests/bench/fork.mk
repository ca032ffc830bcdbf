.PHONY: bench-fork
bench-fork: all ## a machine that is restored (runvm snapshot) against one that is booted: CPU seconds, and memory of many
	@tests/support/with-machine tests/bench/fork $(BUILD)/runvm $(BUILD)/bench-fork.json

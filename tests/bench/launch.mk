.PHONY: bench-launch
bench-launch: $(BUILD)/runvm $(BUILD)/stage1 ## from exec of the launcher to exec of QEMU, against the 2013 script
	@tests/bench/launch $(BUILD)/runvm $(BUILD)/stage1 $(BUILD)/bench-launch.json

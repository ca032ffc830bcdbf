.PHONY: bench-fleet
bench-fleet: all ## a fleet of emulated machines on two processors: restored from a snapshot and booted; MACHINES=40 BOOTS=40
	@.toolchain/install-packages "make bench-fleet" procps
	@tests/support/with-machine tests/bench/fleet $(BUILD)/runvm $(BUILD)/bench-fleet.json

// Runs a fleet: starts machines while there is room, collects those that end, and records the results. Forks wait for their
// snapshot, which is made beside the other machines. Every machine is a separate process (machine_process.h), which dies with
// this one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hostside/fleet/fleet_file.h"
#include "hostside/fleet/fleet_place.h"
#include "hostside/fleet/free_room.h"
#include "hostside/fleet/own_snapshots.h"
#include "hostside/fleet/results.h"
#include "hostside/fleet/schedule.h"
#include "mounts/base/error.h"

namespace hostside {

struct FleetRun {
    const Fleet &fleet;
    const std::vector<Group> &groups;  // in the order of their start
    const std::vector<OwnSnapshot> &snapshots;
    const FleetPlace &place;
    std::string runvm;        // the program
    Room room;                // the fleet's share of the host
    bool any_memory = false;  // start within that share even if the host has less free memory
    bool fail_fast = false;
    // Called for each machine that starts or ends.
    std::function<void(const MachineResult &machine)> changed;
    // Called with what was done about a snapshot.
    std::function<void(const std::string &text)> told;
    std::function<void(const FleetResult &result)> tick;
};

// `result` lists the fleet's machines in its order; machines that already have an outcome are not run. Returns the signal that
// stopped the fleet; 0: none. Error: the results cannot be written.
base::Result<int> run_fleet(const FleetRun &run, FleetResult &result);

// Writes results.json and, when the fleet is over, junit.xml, from `result` and the machines' directories.
base::Result<> write_results(const std::string &directory, const FleetResult &result);

}  // namespace hostside

// A fleet from its first machine to its last: starts what has room, takes in what ends, and notes it all. Every machine is a
// process of its own (machine_process.h); when this process dies, they do.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hostside/fleet/fleet_file.h"
#include "hostside/fleet/fleet_place.h"
#include "hostside/fleet/free_room.h"
#include "hostside/fleet/results.h"
#include "hostside/fleet/schedule.h"
#include "mounts/base/error.h"

namespace hostside {

struct FleetRun {
    const Fleet &fleet;
    const std::vector<Group> &groups;  // in the order in which they are started
    const FleetPlace &place;
    std::string runvm;        // the program
    Room room;                // the fleet's share of the host
    bool any_memory = false;  // that share is taken at its word, whatever is free
    bool fail_fast = false;
    // Told of each machine that starts or ends, and several times a second of all.
    std::function<void(const MachineResult &machine)> changed;
    std::function<void(const FleetResult &result)> tick;
};

// `result` has the machines of the fleet in its order; those that have an outcome already are not run. Returns the signal that
// ended it, 0: none. Error: the results can't be written.
base::Result<int> run_fleet(const FleetRun &run, FleetResult &result);

// What the machines' directories and `result` give.
base::Result<> write_results(const std::string &directory, const FleetResult &result);

}  // namespace hostside

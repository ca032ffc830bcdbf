// The snapshots that a fleet makes for its own forks, in DIR/.snapshots: machines with the same description are booted once and
// restored from it, and the next run of the fleet finds it there. Before any machine of the fleet runs.
#pragma once

#include <functional>
#include <string>

#include "hostside/fleet/fleet.h"
#include "mounts/base/error.h"

namespace hostside {

struct SnapshotsWish {
    const FleetRun &run;
    Fleet &fleet;              // run.fleet; its forks receive the place of their snapshot
    bool all_machines = true;  // the fleet is not only a part of its file
    // Called with what was done about a snapshot.
    std::function<void(const std::string &text)> told;
};

// Makes the snapshots for the machines of `result` that wait, and keeps those that still fit. Machines whose snapshot cannot be
// made have failed. Removes snapshots that no machine of the file uses. Returns the signal that stopped it; 0: none. Error: the
// results' directory cannot be written.
base::Result<int> make_own_snapshots(const SnapshotsWish &wish, FleetResult &result);

}  // namespace hostside

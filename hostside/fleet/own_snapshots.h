// The snapshots that a fleet makes for its own forks, in DIR/.snapshots: machines with the same description are booted once and
// restored from it, and the next run of the fleet finds it there.
#pragma once

#include <string>
#include <vector>

#include "hostside/fleet/fleet_file.h"
#include "hostside/fleet/fleet_place.h"
#include "hostside/fleet/results.h"
#include "hostside/fleet/schedule.h"
#include "mounts/base/error.h"

namespace hostside {

struct OwnSnapshot {
    Node maker;                    // like the first of them; boots only to save it, or finds that the saved one still fits
    std::vector<size_t> machines;  // of Fleet::nodes, that are restored from it; ascending, not empty
};

// The snapshots for the machines of `result` that wait, in the order in which `groups` need them. Enters their places into
// `fleet` and creates their directory. `all_machines`: the fleet is not only a part of its file; then snapshots that no machine
// uses are removed. Error: the results' directory cannot be written.
base::Result<std::vector<OwnSnapshot>> own_snapshots(const FleetPlace &place, const std::vector<Group> &groups, bool all_machines,
                                                     const FleetResult &result, Fleet &fleet);

// What the maker said last about its snapshot, such as "still fits". `machine_directory`: the maker's.
std::string said_of_snapshot(const std::string &machine_directory);

}  // namespace hostside

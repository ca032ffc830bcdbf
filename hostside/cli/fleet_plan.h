// From what is wanted of a fleet to what is to be run: its machines in their groups, the room for them, and what an earlier run
// came to. Reads; has no effect.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hostside/cli/fleet_wish.h"
#include "hostside/fleet/fleet_file.h"
#include "hostside/fleet/free_room.h"
#include "hostside/fleet/results.h"
#include "hostside/fleet/schedule.h"
#include "mounts/base/error.h"

namespace hostside {

struct FleetPlan {
    Fleet fleet;
    std::vector<Group> groups;
    Room room;
    FleetResult result;
};

base::Result<FleetPlan> plan_fleet(const FleetWish &wish);

// The machines alone, their directories somewhere else than beneath the output.
base::Result<Fleet> fleet_of(const FleetWish &wish, const std::function<std::string(const std::string &machine)> &directory_of);

}  // namespace hostside

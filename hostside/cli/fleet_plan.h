// Turns the request for a fleet into a plan: its machines in groups, the room for them, and the results of an earlier run.
// Reads only; has no effect.
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

// The machines only, with their directories elsewhere than below the output.
base::Result<Fleet> fleet_of(const FleetWish &wish, const std::function<std::string(const std::string &machine)> &directory_of);

}  // namespace hostside

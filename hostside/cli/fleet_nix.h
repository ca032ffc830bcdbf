// `runvm fleet --engine=nix`.
#pragma once

#include "hostside/cli/fleet_plan.h"
#include "hostside/cli/fleet_wish.h"
#include "hostside/fleet/fleet_place.h"
#include "mounts/base/error.h"

namespace hostside {

// Adapts the plan to builds by Nix, before anything is made. Error: it has something that a build on another host can't see.
base::Result<FleetPlan> plan_for_nix(const FleetWish &wish, FleetPlan plan);

// Returns the command's exit status.
int run_fleet_by_nix(const FleetWish &wish, FleetPlan &plan, const FleetPlace &place);

// Combines the results of several directories into one, for a derivation that depends on them.
int gather_fleets(const FleetWish &wish);

}  // namespace hostside

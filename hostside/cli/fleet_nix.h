// `runvm fleet --engine=nix`.
#pragma once

#include "hostside/cli/fleet_plan.h"
#include "hostside/cli/fleet_wish.h"
#include "hostside/fleet/fleet_place.h"
#include "mounts/base/error.h"

namespace hostside {

// What is asked before anything is made. Error: what a build on another host would not see.
base::Result<FleetPlan> plan_for_nix(const FleetWish &wish, FleetPlan plan);

// The command's exit status.
int run_fleet_by_nix(const FleetWish &wish, FleetPlan &plan, const FleetPlace &place);

// The results of several directories as one, for a derivation that depends on them.
int gather_fleets(const FleetWish &wish);

}  // namespace hostside

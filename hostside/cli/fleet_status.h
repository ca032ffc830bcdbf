// `runvm fleet --status`: the state of a fleet that others run, or the last state that a fleet of this host recorded.
#pragma once

#include "hostside/cli/fleet_wish.h"
#include "hostside/fleet/results.h"

namespace hostside {

// Returns the command's exit status.
int show_fleet_status(const FleetWish &wish);

int exit_code_of(const FleetResult &result);

}  // namespace hostside

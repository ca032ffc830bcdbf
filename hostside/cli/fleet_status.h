// `runvm fleet --status`: how a fleet is that others run, or what one of this host noted last.
#pragma once

#include "hostside/cli/fleet_wish.h"
#include "hostside/fleet/results.h"

namespace hostside {

// The command's exit status.
int show_fleet_status(const FleetWish &wish);

int exit_code_of(const FleetResult &result);

}  // namespace hostside

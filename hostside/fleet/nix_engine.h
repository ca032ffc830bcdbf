// A fleet that Nix builds (nix_expression.h): its remote builders spread it. A machine's failure is in its group's output; a
// build that failed because QEMU did, or its builder was lost, is tried again.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hostside/fleet/fleet_place.h"
#include "hostside/fleet/nix_expression.h"
#include "hostside/fleet/results.h"
#include "mounts/base/error.h"

namespace hostside {

struct NixRun {
    NixWish wish;
    const FleetPlace &place;
    std::vector<std::string> options;  // NAME=VALUE, of nix.conf's
    // Told of each machine that starts or ends, and several times a second of all.
    std::function<void(const MachineResult &machine)> changed;
    std::function<void(const FleetResult &result)> tick;
};

// As run_fleet(). DIR/groups/N is a link to the output of group N, and keeps it from Nix's garbage collection.
base::Result<int> run_by_nix(NixRun run, FleetResult &result);

// What a build's log says of derivations that no other try would build: runvm refused there (124), or no builder has their
// features. Other ends are a remote builder's too: 1 is what Nix's hook ends with when the builder was lost or QEMU failed there.
std::vector<std::string> hopeless_in(const std::string &log);

}  // namespace hostside

// Runs a fleet as Nix builds (nix_expression.h), which Nix distributes to its remote builders. If a machine fails, the build
// succeeds and its output says so. A build that fails because of QEMU or a lost builder is retried.
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
    std::vector<std::string> options;  // NAME=VALUE, as in nix.conf
    // Called for each machine that starts or ends.
    std::function<void(const MachineResult &machine)> changed;
    std::function<void(const FleetResult &result)> tick;
};

// Like run_fleet(). DIR/groups/N is a link to the output of group N, and protects it from Nix's garbage collection.
base::Result<int> run_by_nix(NixRun run, FleetResult &result);

// The derivations in a build's log that a retry cannot build: runvm refused to run there (124), or no builder has the features.
// Other exit codes are ambiguous: Nix's hook also exits with 1 if it loses the builder or QEMU fails there.
std::vector<std::string> hopeless_in(const std::string &log);

}  // namespace hostside

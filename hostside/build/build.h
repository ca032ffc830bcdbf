// A derivation built in a machine that runs: its builder run there as Nix runs one, its outputs brought here, each with a NAR
// hash that the guest and we computed. By way of the guest's agent (hostside/exec/client.h).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "hostside/build/derivation.h"
#include "hostside/exec/client.h"
#include "mounts/base/error.h"

namespace hostside {

struct BuildWish {
    Derivation derivation;
    std::vector<std::string> builder;  // and its arguments
    std::string user;                  // of the guest's; empty: a build user
    int cores = 1;
    std::vector<std::string> places;  // of the outputs, on the host, in their order; nothing is there
    bool made_here = false;           // an output that is on the host already is one, too
    uint64_t most_bytes = 0;          // of all that the guest may make here; 0: what there is room for
    std::string failed_place;         // where the tree of a build that failed is kept; empty: nowhere
    int log = -1;                     // a file that has all that the builder says; -1: none
};

// `machine`: name, run directory and patience. The builder's status as a shell has it; of one that succeeded without all of its
// outputs, 1. `tell`: what a person is to know, a line each. Error: the machine, the agent, or an output that did not arrive as
// it was.
base::Result<int> build_in_guest(const ExecWish &machine, const BuildWish &wish,
                                 const std::function<void(const std::string &)> &tell);

}  // namespace hostside

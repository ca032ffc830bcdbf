// Builds a derivation in a running machine: runs its builder the way Nix does and copies the outputs to the host. Guest and
// host each compute every output's NAR hash. Uses the guest's agent (hostside/exec/client.h).
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
    std::vector<std::string> builder;  // with its arguments
    std::string user;                  // in the guest; empty: a build user
    int cores = 1;
    std::vector<std::string> places;  // where the outputs go on the host, in their order; must not exist
    bool made_here = false;           // also accept an output that already exists on the host
    uint64_t most_bytes = 0;          // total size that the guest may create here; 0: limited only by free space
    std::string failed_place;         // where to keep the tree of a failed build; empty: nowhere
    int log = -1;                     // file for a copy of the builder's output; -1: none
};

// `machine`: name, run directory and patience. Returns the builder's status in a shell's form, or 1 if it succeeded without all
// of its outputs. `tell`: called with messages for the user, one line each. Error: the machine, the agent, or an output that
// arrived changed.
base::Result<int> build_in_guest(const ExecWish &machine, const BuildWish &wish,
                                 const std::function<void(const std::string &)> &tell);

}  // namespace hostside

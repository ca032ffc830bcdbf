// What a machine that runs added to its store, brought into the host's: fetched, each path's NAR compared with the hash that the
// guest's Nix registered of it, and only then, all together, given to the host's own `nix-store --import`.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "hostside/exec/client.h"
#include "mounts/base/error.h"

namespace hostside {

struct CommitWish {
    std::string store = "/nix/store";  // of the host: ROOT/nix/store
    uint64_t most_bytes = 0;           // of all that is fetched; 0: what there is room for
    bool dry_run = false;              // only says which
};

// `machine`: name, run directory and patience. `tell`: what a person is to know, a line each. Error: the machine, the agent, a
// path that is not what its hash says, or what nix-store said; the host's store has none of it then, or, of an import that was
// cut off, some whole paths.
base::Result<> commit_new_paths(const ExecWish &machine, const CommitWish &wish,
                                const std::function<void(const std::string &)> &tell);

}  // namespace hostside

// Copies what a running machine added to its store into the host's store. Fetches all paths, compares each path's NAR with the
// hash that the guest's Nix registered, and only then gives all of them to the host's `nix-store --import`.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "hostside/exec/client.h"
#include "mounts/base/error.h"

namespace hostside {

struct CommitWish {
    std::string store = "/nix/store";  // of the host: ROOT/nix/store
    uint64_t most_bytes = 0;           // total size to fetch; 0: limited only by free space
    bool dry_run = false;              // only list the paths
};

// `machine`: name, run directory and patience. `tell`: called with messages for the user, one line each. Error: the machine,
// the agent, a path that does not match its hash, or nix-store's message. The host's store is then unchanged; after an
// interrupted import it may have some complete paths.
base::Result<> commit_new_paths(const ExecWish &machine, const CommitWish &wish,
                                const std::function<void(const std::string &)> &tell);

}  // namespace hostside

// Registers more paths in the Nix database of a running system, even while Nix uses it: paths that were added to the host's
// store after the boot and are visible through the union's lower. `register_closure` is for the time before stage 2.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace stage1::nixdb {

struct LiveRequest {
    std::string target_root;
    std::string reginfo;   // each path after its references
    std::string forget{};  // file of store paths, one per line, that the host no longer has; empty: none
};

struct LiveReport {
    size_t paths = 0, added = 0;
    size_t unseen = 0;                   // not registered, because the path or a reference is not in this store as on the host
    std::vector<std::string> dropped{};  // paths to forget that are gone here too, and their referrers
};

// One transaction. Error: there is no database of schema 10.
base::Result<LiveReport> register_live(const LiveRequest &request);

// One line for the log.
std::string describe(const LiveReport &report);

}  // namespace stage1::nixdb

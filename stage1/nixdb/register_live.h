// Registers more paths in the Nix database of a system that runs, while Nix is at work in it: what came into the host's store
// after the boot, and is seen through the union's lower. `register_closure` is for before stage 2.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace stage1::nixdb {

struct LiveRequest {
    std::string target_root;
    std::string reginfo;   // each path after those that it refers to
    std::string forget{};  // a file of store paths, one a line, that the host has no longer; empty: none
};

struct LiveReport {
    size_t paths = 0, added = 0;
    size_t unseen = 0;                   // not registered: not in this store as the host has it, or a reference is not
    std::vector<std::string> dropped{};  // of those to forget: gone here too, and what refers to them
};

// One transaction. Errors: no database of schema 10 yet.
base::Result<LiveReport> register_live(const LiveRequest &request);

// One line for the log.
std::string describe(const LiveReport &report);

}  // namespace stage1::nixdb

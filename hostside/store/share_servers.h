// Shares the machine's directories over virtiofs, each from a virtiofsd of its own, which sees nothing else of the host. Decides
// first which of them go that way (only reads); the servers start when the directories exist, and end with the machine.
#pragma once

#include <string>
#include <vector>

#include "hostside/base/companion.h"
#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// Sets shareKind, and the proto of each share, to 9p or virtiofs. `hindrance`: why this run can have no virtiofs at all; empty:
// it can. Returns notes for the user: why a share that says auto goes over 9p.
// Error: virtiofs is demanded and can't be had.
base::Result<std::vector<std::string>> decide_shares(Machine &machine, const std::string &hindrance);

struct ServedDirectory {
    std::string tag, source, socket;
    bool read_only = false;
};

// The directories of a decided machine that go over virtiofs. The sockets are in `run_directory`.
std::vector<ServedDirectory> served_directories(const Machine &machine, const std::string &xchg, const std::string &shared,
                                                const std::string &run_directory);

struct DirectoryServer {
    std::string tag;
    CompanionProcess daemon;
};

// QEMU can connect to the sockets immediately.
base::Result<std::vector<DirectoryServer>> serve(const std::vector<ServedDirectory> &directories);

}  // namespace hostside

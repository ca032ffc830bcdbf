// Rust virtiofsd (1.x; the one that QEMU once had takes other options), which serves the store to one machine and ends with it.
// It holds a descriptor for each inode that the guest knows, and once it has no more of them what it lists is short without a
// word: so the closure is counted before.
#pragma once

#include <string>
#include <vector>

#include "hostside/base/companion.h"
#include "hostside/store/view.h"
#include "mounts/base/error.h"

namespace hostside {

// Its path: in PATH, or where distributions put it. Error: none, or not that one; what to install.
base::Result<std::string> find_virtiofsd();

// Error: it may not have as many descriptors as `names`, of files and directories in `store`, have inodes.
base::Result<> check_descriptors(const std::string &store, const std::vector<std::string> &names);

// Shares the store's paths, of which it sees no others, read-only. `socket` is a path for QEMU to connect to, at once.
base::Result<CompanionProcess> start_virtiofsd(const ViewSpec &view, const std::string &socket);
// Shares all of a directory.
base::Result<CompanionProcess> start_virtiofsd(const std::string &directory, const std::string &socket);

}  // namespace hostside

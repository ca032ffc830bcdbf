// Runs the Rust virtiofsd (1.x; QEMU's old one has other options), which serves the store to one machine and ends with it. It
// holds a descriptor for each inode that the guest knows. When it runs out of them, directory listings are silently incomplete,
// so the closure's files are counted first. Root's daemon opens a store's files by handle instead, if their file system can.
#pragma once

#include <string>
#include <vector>

#include "hostside/base/companion.h"
#include "hostside/store/view.h"
#include "mounts/base/error.h"

namespace hostside {

// Finds it in PATH or where distributions install it. Error: not found, or the wrong one; what to install.
base::Result<std::string> find_virtiofsd();

// Error: its descriptor limit is lower than the number of inodes in `names`, which are files and directories in `store`. Those
// that it can open by handle don't count.
base::Result<> check_descriptors(const std::string &store, const std::vector<std::string> &names);

// Shares only the view's paths, read-only. QEMU can connect to `socket` immediately.
base::Result<CompanionProcess> start_virtiofsd(const ViewSpec &view, const std::string &socket);
// Shares a whole directory.
base::Result<CompanionProcess> start_virtiofsd(const std::string &directory, const std::string &socket);

// Shares a directory that others on the host change too, and that the guest may change unless `read_only`. The daemon's root is
// that directory. For an ordinary user, what the guest makes is that user's, whoever makes it there.
base::Result<CompanionProcess> share_over_virtiofs(const std::string &directory, const std::string &socket, bool read_only);

// Error: this host lets the daemon have no namespaces, and so no root of its own.
base::Result<> check_sandbox();

// Error: as check_descriptors, for a directory that is shared that way.
base::Result<> check_share_descriptors(const std::string &directory);

}  // namespace hostside

// Reads a directory that a guest writes into (xchg). The guest's root could have left anything there: symlinks and hard links
// to files that it may not read, FIFOs that never end, devices, endless files, trees deeper than the longest path, names with
// newlines. So these functions follow no links, never block, and limit all sizes.
#pragma once

#include <cstddef>
#include <string>

#include "mounts/base/error.h"

namespace hostside {

// Returns the content of a regular file in `directory`, at any depth, that has one link and at most limit_bytes. Never blocks.
// ENOENT: the file does not exist. The other errors say what the guest left instead.
base::Result<std::string> read_from_guest(const std::string &directory, const std::string &name, size_t limit_bytes);

// Stage 1's report from `xchg`. If that is missing or older, the report that arrived over the status port in `run_directory`
// (run/port_report.h).
base::Result<std::string> guest_report(const std::string &run_directory, const std::string &xchg, size_t limit_bytes);

// Removes `directory` with all its content, whatever the modes. Does not enter other file systems mounted inside. A missing
// directory is not an error. Error: names what could not be removed; the rest is gone.
base::Result<> remove_guest_directory(const std::string &directory);

}  // namespace hostside

// A directory that a guest writes into (xchg). Its root could have left anything there: symlinks and hard links to where it
// may not read, FIFOs that never end, devices, files without end, trees deeper than a path is long, names with newlines.
// Nothing of it is followed, waited for or trusted in size.
#pragma once

#include <cstddef>
#include <string>

#include "mounts/base/error.h"

namespace hostside {

// The content of a regular file with one name, of at most limit_bytes, right beneath or deeper in `directory`. Never blocks.
// ENOENT: it is not there. The other errors say what the guest left instead.
base::Result<std::string> read_from_guest(const std::string &directory, const std::string &name, size_t limit_bytes);

// Stage 1's report: out of `xchg`, or where it isn't there, or is older, what came over the status port into `run_directory`
// (run/port_report.h).
base::Result<std::string> guest_report(const std::string &run_directory, const std::string &xchg, size_t limit_bytes);

// Removes `directory` with all that is in it, whatever its modes; another file system that is mounted inside is not entered.
// No directory: nothing to do. Error: what could not be removed; the rest is gone.
base::Result<> remove_guest_directory(const std::string &directory);

}  // namespace hostside

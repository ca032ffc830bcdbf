// Copies a tree from the guest to the host.
#pragma once

#include <string>

#include "hostside/base/allowance.h"
#include "hostside/exec/client.h"
#include "mounts/base/error.h"
#include "mounts/nix/nar.h"

namespace hostside {

// Copies the guest's `path` to `place`, which must not exist yet: completely or not at all. The guest hashes what it sends; we
// hash what arrives and then the files here. All three must match. ENOENT: `path` does not exist. `loosely`: leaves out files
// that a NAR cannot contain.
base::Result<mounts::NarHash> fetch_tree(const ExecWish &machine, const std::string &path, const std::string &place, bool loosely,
                                         Allowance &allowance);

// Runs a task of the agent (mounts/exec/request.h) and returns its standard output. Error: it failed, with its reason; or its
// output exceeds `limit_bytes`.
base::Result<std::string> run_task(const ExecWish &machine, const std::string &task, const std::string &user = "",
                                   size_t limit_bytes = 4096);

}  // namespace hostside

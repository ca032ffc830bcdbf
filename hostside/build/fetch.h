// A tree of the guest's, brought to the host.
#pragma once

#include <string>

#include "hostside/build/allowance.h"
#include "hostside/exec/client.h"
#include "mounts/base/error.h"
#include "mounts/nix/nar.h"

namespace hostside {

// `path` of the guest's becomes `place`, which is not there yet: whole, or not at all. The guest hashes what it sends, we what
// comes and then what lies here; all are the same. ENOENT: the guest has nothing there. `loosely`: what no NAR holds is left out.
base::Result<mounts::NarHash> fetch_tree(const ExecWish &machine, const std::string &path, const std::string &place, bool loosely,
                                         Allowance &allowance);

// The task of the agent's (mounts/exec/request.h), to its end; what it says on standard output. Error: it failed, with its
// reason; it says more than `limit_bytes`.
base::Result<std::string> run_task(const ExecWish &machine, const std::string &task, const std::string &user = "",
                                   size_t limit_bytes = 4096);

}  // namespace hostside

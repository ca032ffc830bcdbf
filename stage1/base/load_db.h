// The closure's own `nix-store --load-db`, run in the target root: for a database whose schema we do not write, and
// the reference that our own registration is measured against.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace stage1 {

struct LoadDbRequest {
    std::string target_root;
    std::string reginfo;  // path in the target root
    std::string system;   // the toplevel in the target root; its sw/bin/nix-store is used
};

// One line on what was loaded. ENOENT: no nix-store in the closure, or no such registration; each is named.
base::Result<std::string> load_db(const LoadDbRequest &request);

}  // namespace stage1

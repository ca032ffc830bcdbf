// Runs the closure's own `nix-store --load-db` in the target root. For a database with a schema that stage1 does not write, and
// as the reference that stage1's own registration is compared with.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace stage1 {

struct LoadDbRequest {
    std::string target_root;
    std::string reginfo;  // path in the target root
    std::string system;   // the toplevel in the target root, with sw/bin/nix-store
};

// Returns one line about what was loaded. ENOENT: the closure has no nix-store, or the registration is missing; the error says
// which.
base::Result<std::string> load_db(const LoadDbRequest &request);

}  // namespace stage1

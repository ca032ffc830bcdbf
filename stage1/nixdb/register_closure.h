// Loads a closure's registration into the target root's Nix database, natively, before stage 2 starts, so that nothing
// in the guest can run Nix too early. One transaction; atomic under a power cut at any write: a fresh database is written
// beside its place and renamed, an existing one is changed through its write-ahead log. Run twice, it changes nothing, and
// on the disk of a boot before it mostly finds that out at once.
// A database of another schema than 10 is left to the closure's own `nix-store --load-db`, and the report says so.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1::nixdb {

struct RegisterRequest {
    std::string target_root;
    std::string reginfo{};  // in the target root, else as it stands; empty: as the initrd's etc/stage1/reginfo says, else the
                            // target root's nix-path-registration, if there is one
    mounts::RegisterMode mode = mounts::RegisterMode::automatic;  // strict: refuse where a path is gone
    std::string system{};  // toplevel in the target root, for its nix-store; only for another schema
};

struct RegisterReport {
    std::string reginfo{};      // what was loaded; empty: nothing
    bool unchanged = false;     // this registration was the last one, and the database is as it was left then
    bool fresh = false;         // the database was made
    std::string left_to_nix{};  // what nix-store said, when the schema is another
    size_t paths = 0, added = 0, updated = 0;
    size_t others = 0;                   // rows of other paths, which are still there
    std::vector<std::string> dropped{};  // rows of paths that are gone, and of what refers to them
    std::string note{};                  // why nothing was reconciled, when that is so
};

base::Result<RegisterReport> register_closure(const RegisterRequest &request);

// One line for the log.
std::string describe(const RegisterReport &report);

}  // namespace stage1::nixdb

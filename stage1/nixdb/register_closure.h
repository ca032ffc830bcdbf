// Loads a closure's registration into the target root's Nix database, without Nix, before stage 2 starts, so that nothing in
// the guest can run Nix too early. Uses one transaction and is atomic under a power cut at any write: a new database is written
// to a temporary file and renamed, an existing one is changed through its write-ahead log. A second run changes nothing, and a
// later boot of the same disk usually detects that at once. If the database's schema is not 10, the closure's own `nix-store
// --load-db` does the work, and the report says so.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1::nixdb {

struct RegisterRequest {
    std::string target_root;
    std::string reginfo{};  // in the target root, or outside; empty: what the initrd's etc/stage1/reginfo names, else the target
                            // root's nix-path-registration, if it exists
    mounts::RegisterMode mode = mounts::RegisterMode::automatic;  // strict: refuse if a path is gone
    std::string system{};  // toplevel in the target root, for its nix-store; only for another schema
};

struct RegisterReport {
    std::string reginfo{};      // the loaded registration; empty: none
    bool unchanged = false;     // this registration was loaded last, and the database is unchanged since
    bool fresh = false;         // the database is new
    std::string left_to_nix{};  // the output of nix-store, if the schema is another
    size_t paths = 0, added = 0, updated = 0;
    size_t others = 0;                   // rows of other paths, which are kept
    std::vector<std::string> dropped{};  // rows of paths that are gone, and of their referrers
    std::string note{};                  // why nothing was reconciled; else empty
};

base::Result<RegisterReport> register_closure(const RegisterRequest &request);

// One line for the log.
std::string describe(const RegisterReport &report);

}  // namespace stage1::nixdb

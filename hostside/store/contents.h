// Finds what a machine needs from the host's store: the closure of its system, of pathsInNixDB, and of other paths on the
// kernel's command line. Only reads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

struct StoreContents {
    std::vector<std::string> roots;  // store paths that this is the closure of
    std::vector<std::string> names;  // of the store's entries, sorted: HASH-NAME
    uint64_t nar_bytes = 0;          // total size, approximately
    bool size_known = true;          // false: nar_bytes lacks paths whose size is not recorded
    std::string hash;                // of names and contents, in hex; identifies the closure
    bool from_database = false;      // otherwise from a registration
};

// Reads the database beside the store, or without one the registration in regInfo. Error: no toplevel, neither source, or a
// path that is not valid.
base::Result<StoreContents> store_contents(const Machine &machine);

// Call it once the roots are protected (gc_root.h), because the host's garbage collector may have removed paths that were read
// before. Error: it did. Checks nothing for a store without a database.
base::Result<> check_still_there(const Machine &machine, const StoreContents &contents);

}  // namespace hostside

// What of the host's store belongs to a machine: the closure of its system, of pathsInNixDB, and of what else its kernel's
// command line names. Only looked at.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

struct StoreContents {
    std::vector<std::string> roots;  // store paths whose closure it is
    std::vector<std::string> names;  // of what lies in the store, sorted: HASH-NAME
    uint64_t nar_bytes = 0;          // all of it together, about
    std::string hash;                // of names and contents, in hex: one closure, one hash
    bool from_database = false;      // else from a registration
};

// From the database beside the store; from the registration that regInfo names where there is none. Error: no toplevel, none
// of both, a path that is not valid.
base::Result<StoreContents> store_contents(const Machine &machine);

// To be asked once something keeps the roots (gc_root.h): what was read before that, the host's collector may have taken
// meanwhile. Error: it did. Of a store without a database nothing is known.
base::Result<> check_still_there(const Machine &machine, const StoreContents &contents);

}  // namespace hostside

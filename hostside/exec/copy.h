// One file between the host and a machine that runs.
#pragma once

#include <cstdint>
#include <string>

#include "hostside/exec/client.h"
#include "mounts/base/error.h"

namespace hostside {

struct Copy {
    std::string machine, there, here;
    bool to_guest = false;
    uint64_t most_bytes = 0;  // of a file from the guest; 0: what there is room for
};

// From the two words of `runvm cp`, one of which is NAME:FILE; a '/' before the colon makes it a file of the host's. A place
// that ends in '/', or is a directory of the host's, gets the file's own name. Error: none or both are of a machine.
base::Result<Copy> copy_of(const std::string &from, const std::string &to);

// `wish`: the machine, and the user. On either side there is the old file or the whole new one.
base::Result<mounts::exec::End> run_copy(const Copy &copy, ExecWish wish);

}  // namespace hostside

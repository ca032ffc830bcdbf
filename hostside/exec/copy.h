// Copies one file between the host and a running machine.
#pragma once

#include <cstdint>
#include <string>

#include "hostside/exec/client.h"
#include "mounts/base/error.h"

namespace hostside {

struct Copy {
    std::string machine, there, here;
    bool to_guest = false;
    uint64_t most_bytes = 0;  // of a file from the guest; 0: limited only by free space
};

// Parses the two arguments of `runvm cp`, one of which is NAME:FILE. A word with a '/' before the colon is a file on the host.
// If the target ends in '/' or is a directory on the host, the file keeps its name. Error: none or both name a machine.
base::Result<Copy> copy_of(const std::string &from, const std::string &to);

// `wish`: the machine and the user. The target is always the old file or the complete new one.
base::Result<mounts::exec::End> run_copy(const Copy &copy, ExecWish wish);

}  // namespace hostside

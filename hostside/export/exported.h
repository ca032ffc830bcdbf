// Common parts of all export formats: the machine, the files that it boots, and what a format cannot express.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

struct Exported {
    Machine machine;  // with absolute paths
    std::string kernel, initrd, command_line;
    std::string qemu;  // the program's path; empty: the other system's default
};

// Error: names the key of the first feature in `said` that is used.
base::Result<> refuse_unsayable(const std::string &form, const std::vector<std::pair<const char *, bool>> &said);

// Features that libvirt and KubeVirt cannot have, because runvm itself provides them or creates them for each run.
std::vector<std::pair<const char *, bool>> of_runvm_alone(const Machine &machine);

}  // namespace hostside

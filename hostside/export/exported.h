// What the forms of others have in common: a machine, the files that it boots, and what can't be said in a form.
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
    std::string qemu;  // the program's path; empty: whatever the form's owner has
};

// Error: the first of `said` that is so, by its key in the description.
base::Result<> refuse_unsayable(const std::string &form, const std::vector<std::pair<const char *, bool>> &said);

// What neither libvirt nor KubeVirt is told, because runvm itself does it, or makes it for each run.
std::vector<std::pair<const char *, bool>> of_runvm_alone(const Machine &machine);

}  // namespace hostside

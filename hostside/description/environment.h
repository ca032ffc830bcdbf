// The environment of the 2013 launcher script, as layers of a description. Pure but for what it is given.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hostside/description/description.h"
#include "mounts/base/error.h"

namespace hostside {

// `get` is getenv(3). `name` is the machine's, for NIXPKGS_QEMU_KERNEL_<name>. Error: a value that is no UTF-8.
base::Result<std::vector<Layer>> environment_layers(const std::function<const char *(const char *)> &get,
                                                    const std::string &name);

}  // namespace hostside

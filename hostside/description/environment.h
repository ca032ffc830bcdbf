// Turns the environment of the 2013 launcher script into layers of a description. Reads only what is passed in.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hostside/description/description.h"
#include "mounts/base/error.h"

namespace hostside {

// `get` is getenv(3). `name` is the machine's, for NIXPKGS_QEMU_KERNEL_<name>. Error: a value that is not UTF-8.
base::Result<std::vector<Layer>> environment_layers(const std::function<const char *(const char *)> &get,
                                                    const std::string &name);

}  // namespace hostside

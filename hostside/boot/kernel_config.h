// How a kernel was configured, and what of a machine that leaves out: the options that NixOS's 2013 module asked for
// (qemu-vm.nix, system.requiredKernelConfig) and those that ours needs besides.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

// The configuration's text: of a kernel that carries its own (CONFIG_IKCONFIG), else of config or config-RELEASE beside it; of
// a file in its form, plain or compressed (/proc/config.gz). Error: neither; a kernel that tells nothing.
base::Result<std::string> kernel_config(const std::string &path);

struct Lack {
    std::string option;   // `CONFIG_9P_FS`
    std::string without;  // what doesn't work
    bool fatal = true;    // no machine boots as it is; else an option of the description doesn't work
};
// Pure. An option that may be a module counts where it is one.
std::vector<Lack> lacks(std::string_view config);

// How many are looked for.
size_t needed_options();

}  // namespace hostside

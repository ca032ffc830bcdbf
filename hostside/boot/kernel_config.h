// Checks a kernel's configuration: which options a machine needs and what fails without them. The options are those of NixOS's
// 2013 module (qemu-vm.nix, system.requiredKernelConfig) and those that runvm and stage1 need besides.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

// Returns the configuration's text. `path` is a kernel with its configuration inside (CONFIG_IKCONFIG) or beside it (config,
// config-RELEASE), or a configuration, plain or compressed (/proc/config.gz). Error: it is neither, or the kernel has none.
base::Result<std::string> kernel_config(const std::string &path);

struct Lack {
    std::string option;   // `CONFIG_9P_FS`
    std::string without;  // what does not work
    bool fatal = true;    // no machine boots; otherwise only an option of the description does not work
};
// Pure. Options that may be modules count as present if they are modules.
std::vector<Lack> lacks(std::string_view config);

// Whether `option` (CONFIG_...) is one of those that only sharing over 9p needs.
bool is_for_9p(std::string_view option);

// The number of options checked.
size_t needed_options();

}  // namespace hostside

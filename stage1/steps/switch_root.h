// Handing over to stage 2: switch_root(8) without a second program.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace stage1 {

// Proves that `init` can be executed in `target_root`, without changing anything. Symlinks are resolved within it.
base::Result<> check_init(const std::string &target_root, const std::string &init);

// Moves /proc, /sys, /dev and /run into the target root, makes it "/", frees the initramfs and executes `init`. Returns
// only on failure. Up to the move of the root, a failure leaves everything in place.
base::Error switch_root(const std::string &target_root, const std::string &init);

}  // namespace stage1

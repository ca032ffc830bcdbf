// Runs fsck before the root is mounted, under the same conditions as NixOS's stage 1
// (nixos/modules/system/boot/stage-1-init.sh, checkFS): only if the initrd has the checker, and never for file systems that
// check themselves or are mounted. The exit code decides whether the boot continues.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace stage1 {

// False: no file system can be checked.
bool initrd_has_checkers();

// Returns one line: what was done, or why nothing was. Error: errors are left, the checker failed, or it asks for a reboot.
// `type` is what the device really holds, because a table may say `auto` or be wrong.
base::Result<std::string> check_file_system(const std::string &device, const std::string &type);

}  // namespace stage1

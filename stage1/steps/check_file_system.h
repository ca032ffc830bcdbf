// fsck before the root is mounted, decided as NixOS's stage 1 decides (nixos/modules/system/boot/stage-1-init.sh,
// checkFS): only when the initrd has the checker, never for file systems that check themselves or are mounted, and its
// exit code says whether the boot goes on.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace stage1 {

// False: no check can be done, whatever the device holds.
bool initrd_has_checkers();

// One line: what was done or why nothing was. Error: errors left uncorrected, the checker failed, or it asks for a reboot.
// `type` is what the device holds; a table may say `auto`, or be wrong.
base::Result<std::string> check_file_system(const std::string &device, const std::string &type);

}  // namespace stage1

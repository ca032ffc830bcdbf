// The writable store: chooses and starts the union's engine. `overlay` is the kernel's overlayfs; `fuse` is this project's
// `unionfs`. Both write the same format of upper.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1 {

// Mounts the union and returns one line: the engine and, with `auto`, the reason. Leaves an existing union alone. Error: the
// message of the last engine that was tried.
base::Result<std::string> mount_union(const mounts::MountUnion &step);

}  // namespace stage1

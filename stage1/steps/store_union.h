// The writable store: which engine lays the union, and how each is started. overlay is the kernel's overlayfs, fuse our
// own `unionfs`; both write the same upper.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1 {

// Mounts the union and returns one line: the engine that was taken, and with `auto` why. A union that is mounted
// already is left alone. Error: what the last engine that was tried said.
base::Result<std::string> mount_union(const mounts::MountUnion &step);

}  // namespace stage1

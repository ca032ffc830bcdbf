// The order in which file systems are mounted: a parent before its children, and the source of a bind mount or an overlay
// before the mount itself. Otherwise sorted by target. Mounts that wait for each other in a cycle go in the order of their
// lines. Pure.
#pragma once

#include <vector>

#include "mounts/boot/fstab.h"

namespace mounts {

std::vector<FileSystem> in_mount_order(std::vector<FileSystem> file_systems);

}  // namespace mounts

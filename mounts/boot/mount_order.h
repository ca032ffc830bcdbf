// In which order file systems are mounted: a parent before what lies in it, and what a bind mount or an overlay takes from the
// root before that. Otherwise by their targets; those that wait for one another in a circle in the order of their lines. Pure.
#pragma once

#include <vector>

#include "mounts/boot/fstab.h"

namespace mounts {

std::vector<FileSystem> in_mount_order(std::vector<FileSystem> file_systems);

}  // namespace mounts

// The table of file systems that a system brings along (etc/fstab): made for this machine, or for a computer with disks of its
// own? systemd in stage 2 waits for each device in it, and ends in emergency mode when one does not come.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hostside/description/machine.h"

namespace hostside {

// What stage 2 would wait for in vain, each as `/boot (/dev/disk/by-uuid/…)`, printable. Empty too where nobody can tell: the
// machine has disks that somebody else filled. Pure.
std::vector<std::string> absent_file_systems(std::string_view fstab, const Machine &machine);

}  // namespace hostside

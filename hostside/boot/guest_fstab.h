// Checks whether a system's etc/fstab was made for this machine, or for a computer with its own disks. systemd in stage 2 waits
// for each device in it and enters emergency mode if one does not appear.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hostside/description/machine.h"

namespace hostside {

// The entries that stage 2 would wait for in vain, such as `/boot (/dev/disk/by-uuid/…)`, printable. Also empty if that is
// unknown, because somebody else filled the machine's disks. Pure.
std::vector<std::string> absent_file_systems(std::string_view fstab, const Machine &machine);

}  // namespace hostside

// Mounting through libmount's context. Knows nothing of plans: one mount a call.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace mounts {

enum class MountOutcome { mounted, was_mounted };

// Mounts unless something of that type is mounted there already. No mount helper (mount.TYPE) is called and nothing is
// written outside the kernel. Error: errno with the kernel's own words where it gives some; for 9p, a tag that the
// host does not offer is named with those that it does; ENODEV names the missing file system of the kernel.
base::Result<MountOutcome> mount_file_system(const Mount &mount);

// Where a file system of this block device is mounted, the latest; empty: nowhere. By number, else by name, for btrfs
// has numbers of its own.
struct MountedAt {
    std::string target, type;
};
MountedAt mounted_at(const std::string &device);

// The type of what is mounted exactly at `target`, the topmost; empty: nothing is.
std::string mounted_type(const std::string &target);

// What is mounted at `directory` (a path without links) and beneath, the latest last.
struct MountPoint {
    int id = 0;  // the kernel's (mountinfo in proc_pid_mountinfo(5))
    std::string target;
};
std::vector<MountPoint> mounts_beneath(const std::string &directory);

}  // namespace mounts

// Mounts through libmount. Knows nothing about plans: one call, one mount.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace mounts {

enum class MountOutcome { mounted, was_mounted };

// Mounts unless something of that type is already mounted there. Calls no mount helper (mount.TYPE) and writes nothing outside
// the kernel. Error: errno, with the kernel's text if it has any. For an unknown 9p tag, the error lists the tags that the host
// offers; ENODEV names the file system that the kernel lacks.
base::Result<MountOutcome> mount_file_system(const Mount &mount);

// The latest mount of this block device; empty: not mounted. Matches by number, then by name, because btrfs has its own device
// numbers.
struct MountedAt {
    std::string target, type;
};
MountedAt mounted_at(const std::string &device);

// The type of the topmost mount exactly at `target`; empty: none.
std::string mounted_type(const std::string &target);

// The mounts at `directory` (a path without links) and beneath it, latest last.
struct MountPoint {
    int id = 0;  // from the kernel (mountinfo in proc_pid_mountinfo(5))
    std::string target;
};
std::vector<MountPoint> mounts_beneath(const std::string &directory);

}  // namespace mounts

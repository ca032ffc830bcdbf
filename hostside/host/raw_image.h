// Raw images and block devices as disks. Their content does not tell their type; the machine's description does.
#pragma once

#include <cstdint>
#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

// Returns the size of the disk. Error: missing, unreadable (with `writes`: not writable), neither a file nor a block device, in
// use by the host (mounted, in a volume group, swap), or it begins like a qcow2 image.
base::Result<uint64_t> check_raw(const std::string &path, bool writes);

// True if all of it reads as zeros and checking that needs little reading, because a file system knows a file's holes. False if
// that is not certain, and for block devices other than loop devices, because Linux does not report their holes.
bool is_empty_raw(const std::string &path);

bool is_block_device(const std::string &path);

// While the descriptor is open, nobody can mount the device or use it otherwise. Empty for a file.
base::Result<base::Fd> claim_device(const std::string &path);

}  // namespace hostside

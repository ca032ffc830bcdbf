// Raw images and block devices as disks. Nothing in them says what they are: who describes the machine does.
#pragma once

#include <cstdint>
#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

// Of the disk that it is. Error: not there, not to be read (with `writes`, nor written), neither a file nor a block device; one
// that the host itself uses (mounted, of a volume group, swap); one that begins as a qcow2 image does.
base::Result<uint64_t> check_raw(const std::string &path, bool writes);

// Reads as zeros, all of it, and to know that not much had to be read: a file's holes are known to its file system. False also
// when that is not certain, and of a block device, whose holes nobody knows.
bool is_empty_raw(const std::string &path);

bool is_block_device(const std::string &path);

// For as long as the descriptor is open, nobody mounts the device nor makes anything else of it. None of a file.
base::Result<base::Fd> claim_device(const std::string &path);

}  // namespace hostside

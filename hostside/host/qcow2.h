// qcow2 images, looked at before QEMU opens them: whoever made one chose what else of the host it leads to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

using BackingFiles = std::vector<std::string>;

// Error: not there, not to be read, no qcow2 image, data in another file; beneath it or beneath that a file that is gone, is
// not among `backing_files`, has no plain name, or whose format nobody says. `start_over` is the advice then.
base::Result<> check_qcow2(const std::string &path, const BackingFiles &backing_files, std::string_view start_over);

// Of the disk that it is; 0: that can't be told.
uint64_t qcow2_size_bytes(const std::string &path);

// Reads as zeros, all of it: a qcow2 image without a backing file to which nothing was ever written. False also when that
// is not certain.
bool is_empty_qcow2(const std::string &path);

bool begins_as_qcow2(int fd);

}  // namespace hostside

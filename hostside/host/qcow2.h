// Checks qcow2 images before QEMU opens them, because the creator of an image chose which other files of the host it refers to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

using BackingFiles = std::vector<std::string>;

// Error: something that can't be an image and that opening may wait for or change, such as a FIFO or a tape. Follows links.
base::Result<> check_kind(const std::string &path);

// Error: missing, unreadable, not a qcow2 image, or its data is in another file. Also if a file in the backing chain is
// missing, is not in `backing_files`, has no plain name, or has no stated format. `start_over` is the advice in that case.
base::Result<> check_qcow2(const std::string &path, const BackingFiles &backing_files, std::string_view start_over);

// The size of the virtual disk. 0: unknown.
uint64_t qcow2_size_bytes(const std::string &path);

// True if the whole image reads as zeros: a qcow2 image without a backing file that was never written. False if that is not
// certain.
bool is_empty_qcow2(const std::string &path);

bool begins_as_qcow2(int fd);

}  // namespace hostside

// Decompresses kernel modules in memory: .ko.gz, .ko.xz and .ko.zst, recognized by their first bytes.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace mounts {

// More than any module needs. A larger file is damaged or hostile (EFBIG).
inline constexpr size_t module_limit_bytes = size_t{256} << 20;

// Error: the format is unknown, or the data is truncated or fails its check.
base::Result<std::string> decompress_module(int fd, const std::string &name);

// The same for bytes in memory. `name` is only for the message.
base::Result<std::string> decompress(std::string_view data, const std::string &name, size_t limit_bytes = module_limit_bytes);

}  // namespace mounts

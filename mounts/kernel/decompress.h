// A compressed kernel module, decompressed in memory: .ko.gz, .ko.xz and .ko.zst, told apart by their first bytes.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace mounts {

// More than any module has; a file that claims more is damaged or hostile (EFBIG).
inline constexpr size_t module_limit_bytes = size_t{256} << 20;

// Error: an unknown format, or data that ends early or does not check.
base::Result<std::string> decompress_module(int fd, const std::string &name);

// The same on bytes; `name` is for the message.
base::Result<std::string> decompress(std::string_view data, const std::string &name, size_t limit_bytes = module_limit_bytes);

}  // namespace mounts

// The NAR of a tree: the archive whose SHA-256 and size Nix registers for a store path. It holds files' contents and executable
// bits, targets of symlinks, and entries of directories sorted by name; nothing else counts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "mounts/base/error.h"
#include "mounts/nix/nix_hash.h"

namespace mounts {

enum class Others { refused, left_out };

// Writes the archive to `sink` piece by piece. Does not follow symlinks, not even `path` itself. Error: something cannot be
// read; a file changes size while it is read; a device, FIFO or socket, which a NAR cannot hold, unless `others` leaves them
// out.
base::Result<> write_nar(const std::string &path, const std::function<void(std::string_view)> &sink,
                         Others others = Others::refused);

struct NarHash {
    Sha256 hash{};
    uint64_t size_bytes = 0;
};
base::Result<NarHash> hash_nar(const std::string &path);

}  // namespace mounts

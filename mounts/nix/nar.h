// The NAR of a tree: the archive whose SHA-256 and size Nix registers of a store path. A file's content and whether its
// owner may execute it, a symlink's target, a directory's entries in the order of their names; nothing else counts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "mounts/base/error.h"
#include "mounts/nix/nix_hash.h"

namespace mounts {

enum class Others { refused, left_out };

// Hands the archive to `sink`, piece by piece. Symlinks are not followed, `path` itself neither. Errors: what cannot be read;
// a file that changes size meanwhile; a device, FIFO or socket, which no NAR holds, unless these are left out.
base::Result<> write_nar(const std::string &path, const std::function<void(std::string_view)> &sink,
                         Others others = Others::refused);

struct NarHash {
    Sha256 hash{};
    uint64_t size_bytes = 0;
};
base::Result<NarHash> hash_nar(const std::string &path);

}  // namespace mounts

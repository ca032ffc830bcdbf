// A 128-bit fingerprint of bytes: different texts do not collide by accident. No protection against deliberate collisions, and
// none is needed, because the registration comes from whoever built the system.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace stage1::nixdb {

struct Fingerprint {
    uint64_t high = 0, low = 0;
    friend bool operator==(const Fingerprint &, const Fingerprint &) = default;
};

Fingerprint fingerprint(std::string_view bytes);

// The fingerprint of a file's whole content. Reads it as a stream. `fd` is borrowed and keeps its offset; `name` is for errors.
base::Result<Fingerprint> fingerprint_of_file(int fd, std::string_view name);

}  // namespace stage1::nixdb

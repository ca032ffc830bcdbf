// A 128-bit fingerprint of bytes: two texts that differ do not share one by accident. Not a guard against somebody who
// looks for two that do: a registration comes from whoever made the system.
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

// Of all that the file at `fd` (borrowed, its offset left alone) holds, read as a stream; `name` is for errors.
base::Result<Fingerprint> fingerprint_of_file(int fd, std::string_view name);

}  // namespace stage1::nixdb

// JSON that others wrote: a person, Nix, a guest, QEMU. Whoever wrote it may have meant harm, or let a program write it, so it is
// looked at before any of it is kept: its size, depth and number of keys are bounded, and each key stands once in its object.
// Time is linear in the size.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace hostside {

struct JsonLimits {
    std::string_view what;  // for people: "a description"
    size_t bytes, keys, depth;
    size_t keys_of_one = keys;  // of one object
};

// Error: the origin as its step, and the line and column of what is no JSON, or the JSON pointer of what is too much or stands
// twice. EFBIG: the size.
base::Result<> check_json(std::string_view text, const std::string &origin, const JsonLimits &limits);

// A key as a token of a JSON pointer (RFC 6901), and any foreign text in a message: cut when it is long.
std::string pointer_token(std::string_view key);
std::string abridged(std::string_view text);

}  // namespace hostside

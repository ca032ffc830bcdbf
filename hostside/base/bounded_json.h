// Checks JSON from outside (a person, Nix, a guest, QEMU) before any of it is stored, because it may be hostile or
// machine-made. Size, depth and number of keys are bounded, and a key may appear only once in its object. The time is linear in
// the size.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace hostside {

struct JsonLimits {
    std::string_view what;  // in messages: "a description"
    size_t bytes, keys, depth;
    size_t keys_of_one = keys;  // in one object
};

// Error: the step is `origin`. For a syntax error it has the line and column; for a bound or a repeated key, the JSON pointer.
// EFBIG: the text is too large.
base::Result<> check_json(std::string_view text, const std::string &origin, const JsonLimits &limits);

// A key as a token of a JSON pointer (RFC 6901), and foreign text for a message. Both truncate long text.
std::string pointer_token(std::string_view key);
std::string abridged(std::string_view text);

}  // namespace hostside

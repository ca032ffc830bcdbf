// A layer's text as JSON. Whoever wrote the text may have meant harm, or let a program write it: its size, depth and number of
// keys are bounded, and each key stands once. Time is linear in the size.
#pragma once

#include <string>
#include <string_view>

#include "hostside/description/json.h"
#include "mounts/base/error.h"

namespace hostside {

// A key as a token of a JSON pointer (RFC 6901), and any foreign text in a message: cut when it is long.
std::string pointer_token(std::string_view key);
std::string abridged(std::string_view text);

// Error: the origin, and the line and column of what is no JSON, or the JSON pointer of what is too much or stands twice.
base::Result<Json> parse(std::string_view text, const std::string &origin);

}  // namespace hostside

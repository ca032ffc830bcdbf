// UTF-8 (RFC 3629), decoded in one place: for JSON that must be valid, and for foreign text that a terminal shows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace base {

struct Character {
    size_t bytes = 0;    // 0: the text does not begin with one
    uint32_t value = 0;  // its code point
};

// The character at the start of a text that is not empty. The shortest form alone counts, and no surrogate.
Character first_character(std::string_view text);

}  // namespace base

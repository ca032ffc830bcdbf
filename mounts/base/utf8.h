// One character of text that may be anything (RFC 3629: shortest form, no surrogates, nothing past U+10FFFF). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace base {

struct Character {
    size_t length = 0;  // bytes; 0: the text does not begin with a well-formed character
    uint32_t value = 0;
};

// The one at the start of `text`, which is not empty.
Character character_at(std::string_view text);

}  // namespace base

// Decodes one UTF-8 character of untrusted text (RFC 3629: shortest form, no surrogates, at most U+10FFFF). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace base {

struct Character {
    size_t length = 0;  // bytes; 0: the text does not begin with a valid character
    uint32_t value = 0;
};

// The first character of `text`, which must not be empty.
Character character_at(std::string_view text);

}  // namespace base

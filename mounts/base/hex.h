// Bytes as text: two lower-case digits each.
#pragma once

#include <string>
#include <string_view>

namespace base {

inline constexpr std::string_view hex_digits = "0123456789abcdef";

inline std::string hex(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        text += {hex_digits[byte >> 4], hex_digits[byte & 15]};
    }
    return text;
}

}  // namespace base

#include "mounts/base/json_text.h"

#include <algorithm>
#include <cstddef>

#include "mounts/base/utf8.h"

namespace base {

std::string json_text(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    const auto is_plain = [](char c) { return c >= 0x20 && c != '"' && c != '\\' && static_cast<unsigned char>(c) < 0x80; };
    std::string out = "\"";
    for (;;) {
        const auto plain = static_cast<size_t>(std::ranges::find_if_not(text, is_plain) - text.begin());
        out += text.substr(0, plain);
        text.remove_prefix(plain);
        if (text.empty()) break;
        const size_t length = character_at(text).length;
        const char c = text.front();
        if (length == 0) {
            out += "\xef\xbf\xbd";
        } else if (c == '"' || c == '\\') {
            (out += '\\') += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            ((out += "\\u00") += digits[static_cast<size_t>(c) >> 4]) += digits[static_cast<size_t>(c) & 15];
        } else {
            out += text.substr(0, length);
        }
        text.remove_prefix(std::max<size_t>(length, 1));
    }
    return out += '"';
}

}  // namespace base

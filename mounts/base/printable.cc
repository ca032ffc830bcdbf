#include "mounts/base/printable.h"

#include <algorithm>
#include <cstdint>

#include "mounts/base/utf8.h"

namespace base {

namespace {

bool harmless(uint32_t c) {
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return false;
    // Line and paragraph separators, and characters that change the direction of text (Unicode, UAX 9).
    return c != 0x200e && c != 0x200f && (c < 0x2028 || c > 0x202e) && (c < 0x2066 || c > 0x2069);
}

}  // namespace

std::string printable(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const Character c = character_at(text);
        if (c.length > 0 && harmless(c.value))
            result.append(text.substr(0, c.length));
        else
            result += '?';
        text.remove_prefix(std::max<size_t>(c.length, 1));
    }
    return result;
}

std::string printable_lines(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const size_t end = std::min(text.find_first_of("\t\n\r\x1b"), text.size());
        result += printable(text.substr(0, end));
        text.remove_prefix(end);
        if (text.empty()) break;
        const char c = text.front();
        text.remove_prefix(1);
        if (c == '\t' || c == '\n') result += c;
        if (c != '\x1b') continue;
        if (!text.starts_with('[')) {
            result += '?';
            continue;
        }
        text.remove_prefix(1);
        // A control sequence: parameter and intermediate bytes, then the final byte (ECMA-48, 5.4).
        while (!text.empty() && text.front() >= ' ' && text.front() < '@') text.remove_prefix(1);
        if (!text.empty() && text.front() >= '@' && text.front() < '\x7f') text.remove_prefix(1);
    }
    return result;
}

}  // namespace base

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

// The length of the control sequence that `text` begins with (ECMA-48, 5.3 to 5.6). 0: it begins with none.
size_t control_sequence(std::string_view text) {
    const char kind = text.size() > 1 ? text[1] : '\0';
    if (kind < '0' || kind > '~') return 0;
    size_t at = 2;
    if (kind == '[') {  // parameter and intermediate bytes, then the final byte
        while (at < text.size() && text[at] >= ' ' && text[at] < '@') ++at;
        return at < text.size() && text[at] >= '@' && text[at] < '\x7f' ? at + 1 : at;
    }
    // A string until BEL or ST. An unfinished one ends with its line.
    if (std::string_view("]PX^_").contains(kind)) {
        at = std::min(text.find_first_of("\a\x1b\n", at), text.size());
        if (text.substr(at).starts_with('\a')) return at + 1;
        return text.substr(at).starts_with("\x1b\\") ? at + 2 : at;
    }
    return at;
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
        const size_t sequence = c == '\x1b' ? control_sequence(text) : 0;
        if (c == '\t' || c == '\n') result += c;
        if (c == '\x1b' && sequence == 0) result += '?';
        text.remove_prefix(std::max<size_t>(sequence, 1));
    }
    return result;
}

}  // namespace base

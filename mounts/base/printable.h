// Makes foreign text safe for a terminal: a guest's messages, a description's key, a file name, a label, a log.
#pragma once

#include <string>
#include <string_view>

namespace base {

// Keeps valid UTF-8 without control characters (C0, DEL, C1) and without characters that change the direction of text. Each bad
// byte or character becomes '?'. Pure.
std::string printable(std::string_view text);

// For a log: keeps newlines and tabs, and drops colors, cursor movements and titles (ECMA-48 control sequences) so that the rest
// stays readable. Treats everything else as above.
std::string printable_lines(std::string_view text);

}  // namespace base

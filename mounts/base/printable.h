// Foreign text before a terminal shows it: what a guest says, a key of a description, a file's name, a label, a log.
#pragma once

#include <string>
#include <string_view>

namespace base {

// Valid UTF-8 without control characters (C0, DEL, C1) and without those that change the direction of text: each bad byte
// or character becomes '?'. Pure.
std::string printable(std::string_view text);

// A log: its lines stay lines, tabs are tabs, and colours and cursor movements (ECMA-48's control sequences) are left out, so
// that what remains reads well; anything else as above.
std::string printable_lines(std::string_view text);

}  // namespace base

// Foreign text before a terminal shows it: what a guest says, a key of a description, a file's name, a label, a log.
#pragma once

#include <string>
#include <string_view>

namespace hostside {

// Valid UTF-8 without control characters (C0, DEL, C1) and without those that change the direction of text: each bad byte
// or character becomes '?'. Pure.
std::string printable(std::string_view text);

}  // namespace hostside

// Words of a shell command line, without a shell: for QEMU_OPTS and the like, which users write with shell quotes, and
// back again, for commands that are shown and pasted. Nothing is ever expanded or evaluated. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace base {

// Splits at blanks; understands '…', "…" (with \" \\ \$ \` inside) and \x (POSIX, XCU 2.2). `what` names the text in the
// message of an open quote.
base::Result<std::vector<std::string>> split_words(std::string_view text, std::string_view what);

// One word as sh and bash read it back; '…' only where it is needed.
std::string quote_word(std::string_view word);

// All of an argv on one line.
std::string quote_words(const std::vector<std::string> &words);

}  // namespace base

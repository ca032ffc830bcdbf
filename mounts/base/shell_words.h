// Splits text into words with shell quoting, without a shell, for QEMU_OPTS and the like. Also quotes words for commands that
// are shown and pasted. Never expands or evaluates anything. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace base {

// Splits at blanks; understands '…', "…" (with \" \\ \$ \` inside) and \x (POSIX, XCU 2.2). `what` names the text in the
// message about an unclosed quote.
base::Result<std::vector<std::string>> split_words(std::string_view text, std::string_view what);

// Quotes a word so that sh and bash read it back unchanged; uses '…' only if needed.
std::string quote_word(std::string_view word);

// Quotes an argv as one line.
std::string quote_words(const std::vector<std::string> &words);

}  // namespace base

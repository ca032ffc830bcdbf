// Shell words without a shell: splitting QEMU_OPTS and its kin as sh would, with nothing expanded, and quoting an argv
// so that it pastes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

// Blanks, '…', "…" and \ as in sh(1). `$`, `*` and the like are plain characters. Error: a quote without its end; `name`
// is the variable that the text came from.
base::Result<std::vector<std::string>> split_words(std::string_view text, std::string_view name);

// One word as sh reads it back; unchanged when it needs no quotes.
std::string quoted(std::string_view word);
std::string quoted(const std::vector<std::string> &argv);

// A value in one of QEMU's comma-separated options: a comma is written twice.
std::string qemu_value(std::string_view text);

}  // namespace hostside

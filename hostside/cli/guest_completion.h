// Completions for `stage1` and `unionfs`. They are printed with runvm's own (zsh's come first), because the guest's programs
// have no room for them. A test compares them with the programs' own help.
#pragma once

#include <string>

namespace hostside {

std::string guest_completion_bash();
std::string guest_completion_zsh();
std::string guest_completion_fish();

}  // namespace hostside

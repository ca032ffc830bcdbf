// The completions of `stage1` and `unionfs`, printed with runvm's own (zsh's begins it): the guest's programs have no room for
// them. A test holds them to what the programs say of themselves.
#pragma once

#include <string>

namespace hostside {

std::string guest_completion_bash();
std::string guest_completion_zsh();
std::string guest_completion_fish();

}  // namespace hostside

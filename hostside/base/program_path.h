// Finds programs of the host by name.
#pragma once

#include <string>
#include <vector>

namespace hostside {

// Paths of all executable files with this name: first in PATH, then in the `further` directories, which PATH may lack. Skips
// relative directories, because root must not run programs from the current directory.
std::vector<std::string> programs_named(const std::string &name, const std::vector<std::string> &further = {});

}  // namespace hostside

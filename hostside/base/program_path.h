// Programs of the host, by name.
#pragma once

#include <string>
#include <vector>

namespace hostside {

// Paths of the executable files of that name, in PATH's order and then in `further` directories, which PATH may
// lack. Relative directories are passed over: as root, one never starts what lies where one happens to stand.
std::vector<std::string> programs_named(const std::string &name, const std::vector<std::string> &further = {});

}  // namespace hostside

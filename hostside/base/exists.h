// Whether there is something at a path, links followed. Leaves errno of access(2) for a message.
#pragma once

#include <unistd.h>

#include <string>

namespace hostside {

inline bool exists(const std::string &path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace hostside

// Whether something exists at a path; follows links. Leaves the errno of access(2) for a message.
#pragma once

#include <unistd.h>

#include <string>

namespace hostside {

inline bool exists(const std::string &path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace hostside

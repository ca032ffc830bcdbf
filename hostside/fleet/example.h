// The file that `runvm fleet init` writes.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace hostside {

// `defaults_json`: the description that all its machines share, as a JSON object or a path.
std::string example_fleet(const std::string &defaults_json);

}  // namespace hostside

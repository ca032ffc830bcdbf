// Translates settings from NixOS's `virtualisation` that a description expresses differently or does not need. Some become keys
// of our own, some are accepted because they hold anyway, and the others are refused with a reason. Pure.
#pragma once

#include <string>

#include "hostside/description/json.h"
#include "mounts/base/error.h"

namespace hostside {

// Translates one layer before its keys are checked; leaves all other keys as they are. Error: the origin, the JSON pointer of
// the key, and why its value can't be honored.
base::Result<> in_our_words(Json &description, const std::string &origin);

}  // namespace hostside

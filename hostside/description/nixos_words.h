// What NixOS's `virtualisation` has that a description says in other words, or need not say: keys of our own in its place,
// values that are obeyed anyway, and the reason why another value is refused. Pure.
#pragma once

#include <string>

#include "hostside/description/json.h"
#include "mounts/base/error.h"

namespace hostside {

// Of one layer, before its keys are checked; what is not NixOS's stays as it is. Error: the origin, the JSON pointer of the
// key, and why its value can't be obeyed.
base::Result<> in_our_words(Json &description, const std::string &origin);

}  // namespace hostside

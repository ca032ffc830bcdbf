// Checks a layer's values against the options' rows and normalizes them: attribute sets become lists, alternative key names
// become the main name, null becomes an empty text, and objects in lists get their defaults.
#pragma once

#include "hostside/description/json.h"
#include "hostside/description/option.h"
#include "mounts/base/error.h"

namespace hostside {

// Error: the origin, the JSON pointer of the problem, and what is expected there.
base::Result<> check(Json &description, const std::string &origin);

}  // namespace hostside

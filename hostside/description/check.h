// Checks a layer's values against the options' rows and brings them into one form: attribute sets become lists, other
// names of a key its name, null the empty text, and what an object in a list leaves out its default.
#pragma once

#include "hostside/description/json.h"
#include "hostside/description/option.h"
#include "mounts/base/error.h"

namespace hostside {

// Error: the origin, the JSON pointer of what is wrong, and what is expected there.
base::Result<> check(Json &description, const std::string &origin);

}  // namespace hostside

// Which machines can be saved. Pure.
#pragma once

#include <string>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// What the store kind `auto` means for a machine that is saved. Its forks must use the same.
std::string saved_store_kind(const Machine &machine);

// Error: what of the machine cannot be saved, why, and what to change. The store kind must be decided.
base::Result<> can_be_saved(const Machine &machine);

}  // namespace hostside

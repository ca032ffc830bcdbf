// base::printable under the names that it has here.
#pragma once

#include "mounts/base/printable.h"

namespace hostside {

using base::printable;
using base::printable_lines;

}  // namespace hostside

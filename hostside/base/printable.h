// Makes base::printable available in this namespace.
#pragma once

#include "mounts/base/printable.h"

namespace hostside {

using base::printable;
using base::printable_lines;

}  // namespace hostside

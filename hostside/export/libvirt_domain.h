// A machine as a libvirt domain, in XML. Pure.
#pragma once

#include <string>

#include "hostside/export/exported.h"
#include "mounts/base/error.h"

namespace hostside {

// Error: names the key that libvirt cannot express.
base::Result<std::string> libvirt_domain(const Exported &exported);

}  // namespace hostside

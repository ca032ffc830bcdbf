// A machine as a domain of libvirt's, in XML. Pure.
#pragma once

#include <string>

#include "hostside/export/exported.h"
#include "mounts/base/error.h"

namespace hostside {

// Error: what libvirt can't be told of it, by its key.
base::Result<std::string> libvirt_domain(const Exported &exported);

}  // namespace hostside

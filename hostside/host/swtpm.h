// swtpm, which is a machine's TPM: it runs beside QEMU, ends with it, and keeps the TPM's state in a directory.
#pragma once

#include <string>

#include "hostside/base/companion.h"
#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// The program's path. Error: none; what to install.
base::Result<std::string> find_swtpm(const Machine &machine);

// For QEMU to connect to `socket`, at once. The state's directory is made if it is not there, and provisioned.
// Error: no swtpm, a state that is in use or not ours, provisioning that failed.
base::Result<CompanionProcess> start_swtpm(const Machine &machine, const std::string &socket);

}  // namespace hostside

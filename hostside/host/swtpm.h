// swtpm, which emulates a machine's TPM. It runs beside QEMU, ends with it, and keeps the TPM's state in a directory.
#pragma once

#include <string>
#include <vector>

#include "hostside/base/companion.h"
#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// The program's path. Error: not found; says what to install.
base::Result<std::string> find_swtpm(const Machine &machine);

// When this returns, QEMU can connect to `socket`. Makes and provisions the state directory if it is missing. Error: no swtpm,
// the state is in use or belongs to another user, or provisioning failed.
base::Result<CompanionProcess> start_swtpm(const Machine &machine, const std::string &socket);

// A command that does the same for a person who starts QEMU: it returns when swtpm listens, and swtpm ends with QEMU. Makes no
// state directory. Error: no swtpm, or the machine has it provisioned.
base::Result<std::vector<std::string>> swtpm_daemon(const Machine &machine, const std::string &socket);

}  // namespace hostside

// Finds EFI firmware on this host through the descriptions that distributions ship for QEMU (QEMU, docs/interop/firmware.json).
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

struct Firmware {
    std::string code, variables;  // flash files; a machine's variables begin as a copy of the second
};

// Where descriptions are, in order of precedence: the user's, this host's, the distribution's, and those of this QEMU.
std::vector<std::string> firmware_directories(const std::string &qemu);

// Returns the first firmware (by file name of its description) for this machine type whose files exist. `secure`: it boots only
// signed code and has Microsoft's keys. Error: there is none; the hint says what to install.
base::Result<Firmware> find_firmware(const std::vector<std::string> &directories, const std::string &machine_type, bool secure);

}  // namespace hostside

// EFI firmware of this host, found by the descriptions that distributions ship for QEMU (QEMU, docs/interop/firmware.json).
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

struct Firmware {
    std::string code, variables;  // files of flash; the second is what a machine's own begins as
};

// Where descriptions lie, first counts: the user's, this host's, the distribution's, and those that came with this QEMU.
std::vector<std::string> firmware_directories(const std::string &qemu);

// The first description, by the name of its file, of firmware for this machine type whose files are there. `secure`: it boots
// only what a key signed, and has Microsoft's keys. Error: none, and what to install.
base::Result<Firmware> find_firmware(const std::vector<std::string> &directories, const std::string &machine_type, bool secure);

}  // namespace hostside

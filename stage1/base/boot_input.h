// Where the boot's description comes from, later wins: the built-in file systems, /etc/stage1/fstab of the initrd, the
// kernel parameters (the launcher's by SMBIOS, for a boot loader; the command line; /etc/stage1/parameters, for a line that was
// too long).
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/plan.h"

namespace stage1 {

struct BootSources {
    std::string oem_parameters{};  // text of what the launcher says by SMBIOS; empty: nothing
    std::string command_line;      // text of /proc/cmdline
    std::string parameters;        // text of /etc/stage1/parameters; empty: none
    std::string fstab;             // text; empty: the built-in default
    std::string modules;           // names to load always, one a line; empty: none
    uint64_t memory_bytes = 0;
};

// Reads them from this machine. A file that is not there is empty; one that cannot be read is an Error.
base::Result<BootSources> read_boot_sources();

base::Result<mounts::PlanInput> boot_input(const BootSources &sources, const std::string &target_root);
// Of this machine's sources.
base::Result<mounts::PlanInput> boot_input(const std::string &target_root);

// What to do when the boot cannot go on, where its description could not be had: of the kernel parameters of this machine those
// that can be read count.
mounts::BootParameters failure_policy();

}  // namespace stage1

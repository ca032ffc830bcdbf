// Reads the description of the boot. Later sources override earlier ones: the built-in file systems, /etc/stage1/fstab in the
// initrd, and the kernel parameters. These come from SMBIOS (the launcher's, for a boot loader), then the command line, then
// /etc/stage1/parameters (for a command line that was too long).
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/plan.h"

namespace stage1 {

struct BootSources {
    std::string oem_parameters{};  // the launcher's parameters from SMBIOS; empty: none
    std::string command_line;      // text of /proc/cmdline
    std::string parameters;        // text of /etc/stage1/parameters; empty: none
    std::string fstab;             // text; empty: the built-in default
    std::string modules;           // names of modules to load always, one per line; empty: none
    uint64_t memory_bytes = 0;
};

// Reads them from this machine. A missing file is empty; a file that cannot be read is an Error.
base::Result<BootSources> read_boot_sources();

base::Result<mounts::PlanInput> boot_input(const BootSources &sources, const std::string &target_root);
// From this machine's sources.
base::Result<mounts::PlanInput> boot_input(const std::string &target_root);

// The policy for a failed boot whose description could not be read: uses those kernel parameters of this machine that can be
// read.
mounts::BootParameters failure_policy();

}  // namespace stage1

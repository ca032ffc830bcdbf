// The parts of QEMU's command line, one file each; put together by qemu_argv (command.h). Pure.
#pragma once

#include <string>
#include <vector>

#include "hostside/description/machine.h"
#include "hostside/qemu/command.h"
#include "mounts/base/error.h"

namespace hostside {

using Argv = std::vector<std::string>;

inline void add(Argv &argv, std::string option, std::string value) {
    argv.push_back(std::move(option));
    argv.push_back(std::move(value));
}

// Error: a serial that is taken, or too long.
base::Result<> add_disks(Argv &argv, const Machine &machine, const HostFacts &facts);
// Error: a tag that is taken, or that QEMU would not take; a target that the kernel's command line can't carry.
base::Result<> add_shares(Argv &argv, const Machine &machine, const HostFacts &facts);
// Error: two forwarded ports that clash, what is no address, two cards on one vlan.
base::Result<> add_networks(Argv &argv, const Machine &machine, const HostFacts &facts);
// The console, QEMU's monitor, the status port, the guest agent. Error: a path too long for a socket.
base::Result<> add_channels(Argv &argv, const Machine &machine, const HostFacts &facts);

}  // namespace hostside

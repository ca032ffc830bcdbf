// The parts of QEMU's command line, one file for each. qemu_argv (command.h) puts them together. Pure.
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

// Error: a serial is taken or too long.
base::Result<> add_disks(Argv &argv, const Machine &machine, const HostFacts &facts);
// Error: a tag is taken or invalid for QEMU, or a target cannot be expressed on the kernel's command line.
base::Result<> add_shares(Argv &argv, const Machine &machine, const HostFacts &facts);
// Error: two forwarded ports clash, an address is invalid, or a vlan has two of the machine's cards.
base::Result<> add_networks(Argv &argv, const Machine &machine, const HostFacts &facts);
// The console, QEMU's monitors, the status port and the guest agent. Error: a path is too long for a socket.
base::Result<> add_channels(Argv &argv, const Machine &machine, const HostFacts &facts);

}  // namespace hostside

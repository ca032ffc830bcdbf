// From a machine to QEMU's command line. Pure: what `--print` shows is what runs.
#pragma once

#include <string>
#include <vector>

#include "hostside/machine.h"

namespace hostside {

// What only this run knows.
struct RunContext {
    std::string qemu = "qemu-system-x86_64";
    int qemu_major = 0;     // 0: not known
    bool kvm = false;       // a guest was seen to run in it
    bool terminal = false;  // stdin and stdout are one
    bool root = false;      // QEMU will run as root
    std::string kernel;     // the file to boot; may be an uncompressed copy of the machine's
    std::string initrd;
    int status_fd = -1;  // a connected socket for the status port; -1: none
    int qmp_fd = -1;     // likewise for QMP
};

// The kernel command line: the system's, ours, the user's.
std::string kernel_command_line(const Machine &machine);

std::vector<std::string> qemu_argv(const Machine &machine, const RunContext &context);

}  // namespace hostside

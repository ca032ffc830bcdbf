// The guest kernel's command line, and what of it is too long for a kernel. Pure.
#pragma once

#include <string>
#include <string_view>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// The kernel's whole command line. It may be longer than a kernel takes: see command_line_parts.
std::string kernel_command_line(const Machine &machine, std::string_view toplevel_params, const std::string &init);

// Puts a word, or several, before what belongs to init: what follows a bare `--`.
void add_parameter(std::string &line, std::string_view word);

// What stage 1 is told by SMBIOS where a boot loader has the command line (mounts/protocol.h). `boot`: what it mounts on /boot;
// empty: nothing.
std::string oem_parameters(const Machine &machine, bool fresh_disk, std::string_view boot);

// What fits into the command line, and the rest, which goes into the initrd. Only parameters of ours and `regInfo` move.
struct CommandLineParts {
    std::string line, parameters;
};
base::Result<CommandLineParts> command_line_parts(const std::string &whole);

}  // namespace hostside

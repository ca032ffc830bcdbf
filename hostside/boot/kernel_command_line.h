// The guest kernel's command line, and the part that is too long for a kernel. Pure.
#pragma once

#include <string>
#include <string_view>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// The whole command line. It may be longer than a kernel accepts; see command_line_parts.
std::string kernel_command_line(const Machine &machine, std::string_view toplevel_params, const std::string &init);

// Inserts one or more words before a bare `--`, because the words after it belong to init.
void add_parameter(std::string &line, std::string_view word);

// The parameters that stage 1 gets through SMBIOS if a boot loader sets the command line (mounts/protocol.h). `boot`: what to
// mount on /boot; empty: nothing.
std::string oem_parameters(const Machine &machine, bool fresh_disk, std::string_view boot);

// The part that fits into the command line, and the rest, which goes into the initrd. Only stage1's parameters and `regInfo`
// move.
struct CommandLineParts {
    std::string line, parameters;
};
base::Result<CommandLineParts> command_line_parts(const std::string &whole);

}  // namespace hostside

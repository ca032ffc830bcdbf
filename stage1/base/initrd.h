// Whether this is an initrd, where stage 1's commands may mount and format what the kernel's command line says.
#pragma once

#include <string_view>

#include "mounts/base/error.h"

namespace stage1 {

// Error: on a machine that runs, the command line's disks are that machine's own. `instead`: what to say instead.
base::Result<> refuse_outside_initrd(std::string_view command, std::string_view instead);

}  // namespace stage1

// Whether this is an initrd, where stage 1's commands may mount and format what the kernel's command line names.
#pragma once

#include <string_view>

#include "mounts/base/error.h"

namespace stage1 {

// Error: this is a running machine, and the command line names its own disks. `instead`: advice for the message.
base::Result<> refuse_outside_initrd(std::string_view command, std::string_view instead);

}  // namespace stage1

// Tasks that the agent performs itself, in a process like a command's, so that they need no program in the guest.
#pragma once

#include <string>

namespace stage1 {

// Performs a task of mounts/exec/request.h and returns the exit status. Reports failures on standard error.
int do_task(const std::string &task);

}  // namespace stage1

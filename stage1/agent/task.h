// What the agent does itself, in a process like a command's, so that it needs no program of the guest's.
#pragma once

#include <string>

namespace stage1 {

// A task of mounts/exec/request.h; the exit status. Failures are told on standard error.
int do_task(const std::string &task);

}  // namespace stage1

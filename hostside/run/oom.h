// Did the host's kernel kill a process for want of memory? It says so in its log alone, which not every user may read.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace hostside {

// A line of the kernel's log names this process's end by the OOM killer. Pure.
bool names_oom_kill(std::string_view line, pid_t pid);

// False too when the log can't be read.
bool killed_for_memory(pid_t pid);

}  // namespace hostside

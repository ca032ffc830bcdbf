// Tells whether the host's OOM killer killed a process. Only the kernel's log says so, and not every user may read it.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace hostside {

// True if this line of the kernel's log reports that the OOM killer killed `pid`. Pure.
bool names_oom_kill(std::string_view line, pid_t pid);

// Also false if the log can't be read.
bool killed_for_memory(pid_t pid);

}  // namespace hostside

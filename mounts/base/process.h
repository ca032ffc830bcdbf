// Starting a program and hearing how it ended. argv only: no shell ever sees a path or an option.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace base {

struct Command {
    std::vector<std::string> argv;                          // argv[0] with a slash is a path, else looked up in PATH
    std::optional<std::vector<std::string>> environment{};  // "NAME=value" each; absent: ours
    std::string root{};                                     // chroot into it first, and chdir("/"); empty: no
    int standard_input = -1;                                // borrowed; -1: /dev/null
    std::vector<int> inherited{};                           // borrowed; the child has them under the same numbers
    bool capture_output = false;                            // stdout and stderr together into Exit::output
    bool dies_with_parent = false;  // SIGKILL for it when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG)
    size_t output_limit_bytes = size_t{1} << 20;  // more than this is dropped, the program is not disturbed
};

struct Exit {
    int status = 0;      // the exit code; 128 + the signal's number when a signal ended it
    std::string output;  // what was captured
};

// Runs to the end. The Error is for a program that could not be started, with the stage at which that failed
// (chroot, exec) and its errno; a program that ran and failed is an Exit.
Result<Exit> run(const Command &command);

// A program that was not waited for. Whoever holds it waits or kills; dropping it leaves the process alone.
struct Child {
    pid_t pid = -1;
    Fd output{};  // the read end when capture_output was asked for
};
Result<Child> start(const Command &command);

// waitpid(2) status → Exit::status.
int exit_code(int wait_status);

}  // namespace base

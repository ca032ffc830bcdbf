// Starts a program and reports how it ended. Takes an argv only: no shell ever sees a path or an option.
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
    std::vector<std::string> argv;                          // argv[0] without a slash is looked up in PATH
    std::optional<std::vector<std::string>> environment{};  // "NAME=value" each; absent: this process's environment
    std::string root{};                                     // chroot into it first, and chdir("/"); empty: no chroot
    int standard_input = -1;                                // borrowed; -1: /dev/null
    std::vector<int> inherited{};                           // borrowed; the child gets them under the same numbers
    bool capture_output = false;                            // stdout and stderr together, into Exit::output
    bool dies_with_parent = false;                // SIGKILL when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG)
    size_t output_limit_bytes = size_t{1} << 20;  // the rest is discarded; the program does not notice
};

struct Exit {
    int status = 0;      // the exit code, or 128 + the number of the signal that ended it
    std::string output;  // the captured output
};

// Runs a program to its end. An Error means that the program could not start; it names the stage that failed (chroot, exec) and
// its errno. A program that ran and failed is an Exit.
Result<Exit> run(const Command &command);

// A running program. The owner must wait for it or kill it; destroying this object leaves the process alone.
struct Child {
    pid_t pid = -1;
    Fd output{};  // the read end, with capture_output
};
Result<Child> start(const Command &command);

// Converts a waitpid(2) status to an Exit::status.
int exit_code(int wait_status);

}  // namespace base

// A machine that is booted for one piece of work. It is brought to the point where the work can begin and powered off
// afterwards.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "hostside/exec/client.h"
#include "mounts/base/error.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace hostside {

struct Arguments;
struct Machine;

// --after UNIT|COMMAND
CLI::Option *add_after(CLI::App &command, std::string &after);

// What to wait for in a system with systemd. Empty: the system has no systemd.
std::string default_target(const Machine &machine);

// Waits until the machine is ready for the work: a systemd unit is active, or a shell command succeeds. Empty: does not wait.
base::Result<> wait_until(const ExecWish &machine, const std::string &after);

// `after`: absent means multi-user.target, if the system has systemd. `work` gets an ExecWish without a request and returns the
// exit status. A machine that ends too early reports that itself.
int work_within(const Arguments &arguments, const std::optional<std::string> &after,
                const std::function<base::Result<int>(const ExecWish &machine)> &work);

}  // namespace hostside

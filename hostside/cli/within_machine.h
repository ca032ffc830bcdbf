// A machine that is booted for one piece of work: brought to where the work can begin, and powered off after it.
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

// What a system with systemd is waited for; empty: it has none.
std::string default_target(const Machine &machine);

// Until the machine is where the work wants it: a unit of systemd is active, or a shell's command succeeds. Empty: at once.
base::Result<> wait_until(const ExecWish &machine, const std::string &after);

// `after`: absent for multi-user.target, if the system has systemd. `work` has the machine as an ExecWish without a request,
// and says our exit status. A machine that ended before the work did says it itself.
int work_within(const Arguments &arguments, const std::optional<std::string> &after,
                const std::function<base::Result<int>(const ExecWish &machine)> &work);

}  // namespace hostside

// The life of one machine, from its description to the exit code. `run`, `start` and every command that boots a machine of its
// own use it.
#pragma once

#include <functional>
#include <string>

namespace hostside {

struct Arguments;

// Returns the exit code. `started` is called with an empty text when QEMU runs or has reached the point that is waited for, or
// with the reason why it does not; only the first call counts.
int run_machine(const Arguments &arguments, const std::function<void(const std::string &failure)> &started);

}  // namespace hostside

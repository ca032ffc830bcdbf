// `runvm exec | shell | cp`: commands in a machine that runs, or in one that is booted for them; and `exec-hub`, which every
// machine has (hostside/exec/hub.h).
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_exec_commands(CLI::App &app, int &status);

}  // namespace hostside

// `runvm exec | shell | cp`: commands in a running machine or in one that is booted for them. Also `exec-hub`, which runs for
// every machine (hostside/exec/hub.h).
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_exec_commands(CLI::App &app, int &status);

}  // namespace hostside

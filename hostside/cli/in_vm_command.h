// `runvm in-vm`: runs one command as a whole machine, like vmTools.runInLinuxVM. Stage 1 mounts, there is no stage 2, and the
// machine ends with the command.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_in_vm_command(CLI::App &app, int &status);

}  // namespace hostside

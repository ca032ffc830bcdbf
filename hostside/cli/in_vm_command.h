// `runvm in-vm`: one command as a whole machine, as vmTools.runInLinuxVM has it: stage 1 mounts, there is no stage 2, and when
// the command ends, so does the machine.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_in_vm_command(CLI::App &app, int &status);

}  // namespace hostside

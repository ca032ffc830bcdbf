// `runvm config | schema | initrd`: describes a machine without starting it.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

// `status` is the program's exit code after the command ran.
void add_describe_commands(CLI::App &app, int &status);

}  // namespace hostside

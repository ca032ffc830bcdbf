// `runvm boot-disk`: makes a boot loader's disk from a system.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_boot_disk_command(CLI::App &app, int &status);

}  // namespace hostside

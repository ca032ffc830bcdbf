// `runvm boot-disk`: the disk of a boot loader, made of a system.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_boot_disk_command(CLI::App &app, int &status);

}  // namespace hostside

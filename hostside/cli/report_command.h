// `runvm report`: shows what stage 1 did in a boot, or compares two boots.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_report_command(CLI::App &app, int &status);

}  // namespace hostside

// `runvm report`: what stage 1 did in a boot, to be looked at, and two boots compared.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_report_command(CLI::App &app, int &status);

}  // namespace hostside

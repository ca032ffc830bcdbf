// `runvm stop | console | qmp`: what one does with a machine that runs.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_life_commands(CLI::App &app, int &status);

}  // namespace hostside

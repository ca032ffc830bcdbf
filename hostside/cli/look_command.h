// `runvm list | status | logs`: machines that run or ran last, their state, and their consoles.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_look_commands(CLI::App &app, int &status);

}  // namespace hostside

// `runvm list | status | logs`: what runs, what ran last, how it fares and what it said.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_look_commands(CLI::App &app, int &status);

}  // namespace hostside

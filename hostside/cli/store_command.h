// `runvm commit | rollback`: what a machine that runs added to its store goes to the host's, or goes.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_store_commands(CLI::App &app, int &status);

}  // namespace hostside

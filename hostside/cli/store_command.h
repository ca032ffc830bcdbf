// `runvm commit | rollback`: moves what a running machine added to its store into the host's store, or removes it.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_store_commands(CLI::App &app, int &status);

}  // namespace hostside

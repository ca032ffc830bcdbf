// `runvm snapshot`: boots a machine once and saves it for `runvm run --from`.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

void add_snapshot_command(CLI::App &app, int &status);

}  // namespace hostside

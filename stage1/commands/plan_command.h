// `stage1 plan`: prints what `stage1 init` would do, on any machine, without doing it.
#pragma once

namespace CLI {
class App;
}

namespace stage1 {

// Adds the subcommand. It sets `status` to the exit code: 0 planned, 1 the description is wrong.
void add_plan_command(CLI::App &app, int &status);

}  // namespace stage1

// `stage1 plan`: what `stage1 init` would do, on any machine, without doing it.
#pragma once

namespace CLI {
class App;
}

namespace stage1 {

// When it ran, `status` is its exit code: 0 planned, 1 the description is wrong.
void add_plan_command(CLI::App &app, int &status);

}  // namespace stage1

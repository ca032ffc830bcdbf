// `runvm completion bash | zsh | fish`: the shells' completions, made from the command line's own definition.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

// After all other commands are there: it tells of those. `status` is the program's exit code after the command ran.
void add_completion_command(CLI::App &app, int &status);

}  // namespace hostside

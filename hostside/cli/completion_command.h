// `runvm completion bash | zsh | fish`: shell completions, generated from the definition of the command line.
#pragma once

namespace CLI {
class App;
}

namespace hostside {

// Call after all other commands were added, because it lists them. `status` is the program's exit code after the command ran.
void add_completion_command(CLI::App &app, int &status);

}  // namespace hostside

#include "stage1/commands/agent_command.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <memory>
#include <string>

#include "mounts/base/log.h"
#include "stage1/agent/agent.h"
#include "stage1/agent/stage2_times.h"

namespace stage1 {

void add_agent_command(CLI::App &app, int &status) {
    auto system = std::make_shared<std::string>();
    CLI::App *command = app.add_subcommand("agent", "run the commands that the host's `runvm exec` asks for");
    command->add_option("--system", *system, "a NixOS system whose programs come first in their PATH");
    command->callback([&status, system] {
        tell_stage2_times(*system);
        const auto served = serve(*system);
        if (served) return;
        base::log(served.error());
        status = served.error().code == EBUSY ? 0 : 1;  // the agent that stage 1 started does the same
    });
}

}  // namespace stage1

// `stage1 agent`: the guest's side of `runvm exec`, for a unit of stage 2 if another program was stage 1.
#pragma once

namespace CLI {
class App;
}

namespace stage1 {

void add_agent_command(CLI::App &app, int &status);

}  // namespace stage1

// `stage1 agent`: the guest's end of `runvm exec`, for a unit of stage 2 where stage 1 was another's.
#pragma once

namespace CLI {
class App;
}

namespace stage1 {

void add_agent_command(CLI::App &app, int &status);

}  // namespace stage1

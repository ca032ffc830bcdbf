// `stage1 union rollback`; `union diff` is the union's own (unionfs/command/command.h).
#pragma once

namespace CLI {
class App;
}

namespace stage1 {

void add_union_command(CLI::App &app, int &status);

}  // namespace stage1

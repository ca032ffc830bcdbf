// One port for many commands: a process beside QEMU that holds the host's end of the agent's port and gives each `runvm exec`
// of this machine its own session on it (mounts/exec/frame.h). It is separate from the launcher because it parses what a
// hostile guest sends, and may crash without ending the machine. It uses one port instead of a pool because a pool can run out,
// each port costs the guest interrupts and buffers, and each port would need the frames anyway.
#pragma once

#include <sys/types.h>

#include <string>

#include "mounts/base/error.h"

namespace hostside {

// The hub itself: listens in the machine's run directory, and returns after QEMU ended.
base::Result<> run_hub(const std::string &run_directory, bool restored = false);

// Starts the hub, and stops it in the destructor. The machine also runs without it.
class HubProcess {
  public:
    // `runvm`: the program. `restored`: the guest's agent has greeted the hub of the saved machine and does not know about this
    // one.
    HubProcess(const std::string &runvm, const std::string &run_directory, bool restored = false);
    ~HubProcess();
    HubProcess(const HubProcess &) = delete;
    HubProcess &operator=(const HubProcess &) = delete;

  private:
    pid_t pid_ = -1;
};

}  // namespace hostside

// One port, many commands: a process beside QEMU that holds the host's end of the agent's port, and lets each `runvm exec` of
// this machine have a session of its own on it (mounts/exec/frame.h). A process and no part of the launcher, so that what a
// hostile guest sends is read by something that can end without the machine; and one port instead of a pool of them, because a
// pool has an end, each port costs the guest interrupts and buffers, and the frames are needed on each port all the same.
#pragma once

#include <sys/types.h>

#include <string>

#include "mounts/base/error.h"

namespace hostside {

// The hub itself: listens in the machine's run directory, and returns when QEMU is gone.
base::Result<> run_hub(const std::string &run_directory, bool restored = false);

// Starts it, and ends it with its own end. Without it, the machine runs all the same.
class HubProcess {
  public:
    // `runvm`: the program. `restored`: the agent in the guest took another's hand once, and does not know that we are here.
    HubProcess(const std::string &runvm, const std::string &run_directory, bool restored = false);
    ~HubProcess();
    HubProcess(const HubProcess &) = delete;
    HubProcess &operator=(const HubProcess &) = delete;

  private:
    pid_t pid_ = -1;
};

}  // namespace hostside

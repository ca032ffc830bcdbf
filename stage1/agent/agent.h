// The guest's side of `runvm exec`: receives requests from the host on a virtio-serial port, runs them and sends back the
// results (mounts/exec/frame.h). Runs many commands at once in one process with one thread. Needs no program and no network in
// the guest.
#pragma once

#include <functional>
#include <string>

#include "mounts/base/error.h"

namespace stage1 {

// Serves until the machine ends. Error: there is no port, or another agent has it.
base::Result<> serve(const std::string &system);

// Starts a process that serves during stage 1, for `runvm console --debug`. A request for a shell runs `shell` in a process
// whose terminal is the requester's. Does nothing if such a process runs already, or if the machine does not have the port yet.
void start_early_agent(std::function<int()> shell);

// Starts a process that serves during stage 2 and replaces the early one. Stage 1 calls this right before it executes stage 2,
// so the process has the target root as its root. Restarts the agent if it is killed. Does nothing if the machine has no such
// port.
void start_agent(const std::string &system);

// Makes PID 1 the agent, in a machine without a stage 2.
[[noreturn]] void be_agent(const std::string &system);

}  // namespace stage1

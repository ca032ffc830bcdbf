// The guest's end of `runvm exec`: reads what the host asks for from a virtio-serial port, runs it, and sends back what comes
// of it (mounts/exec/frame.h). Many commands at once, one process, one thread; it needs no program and no network of the guest.
#pragma once

#include <functional>
#include <string>

#include "mounts/base/error.h"
#include "stage1/agent/command.h"

namespace stage1 {

// Serves until the machine ends. Error: there is no port, or another agent has it.
base::Result<> serve(const std::string &system);

// A process of its own that serves while stage 1 is not done, for `runvm console --debug`: who asks for a shell gets `shell`, a
// function that runs in a process whose terminal is that person's. One at a time: a second call does nothing. Nothing when the
// machine has no such port, or none yet.
void start_early_agent(std::function<int()> shell);

// A process of its own that serves, in the place of the early one, for stage 1 right before it executes stage 2: it has the
// target root as its root. Begun anew when it was killed. Nothing when the machine has no such port.
void start_agent(const Surroundings &guest);

// PID 1 as the agent, in a machine without a stage 2.
[[noreturn]] void be_agent(const Surroundings &guest);

}  // namespace stage1

// Runs a command in a running machine from the host. The command uses our standard streams or given files, our terminal and its
// size, and gets the signals that we receive; we get its exit status. Goes through the machine's hub (hub.h).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "mounts/base/error.h"
#include "mounts/exec/request.h"

namespace hostside {

struct ExecStreams {
    int input = -1;  // -1: empty
    int output = -1, errors = -1;
    // Instead of a descriptor; returns false if no more is wanted.
    std::function<bool(std::string_view)> take_output{}, take_errors{};
    int log = -1;         // gets a copy of output and errors
    bool signals = true;  // pass the signals that we receive on to the command
};

struct ExecWish {
    std::string machine;        // its name, for messages
    std::string run_directory;  // of the machine
    mounts::exec::Request request{};
    ExecStreams streams{};
    int patience_s = 10;         // time for an agent to appear; -1: as long as the machine runs
    int limit_s = -1;            // time for everything, including the command; -1: no limit
    int *interrupted = nullptr;  // gets the number of a signal that came before the command started
};

// How the hint begins if no agent answered in time.
inline constexpr std::string_view no_agent_answered = "no agent answered";

// Returns how the command ended. ETIMEDOUT: it took longer than `limit_s`. With request.terminal, `streams.input` is in raw
// mode during the call. Error: no hub, no agent, or the machine or the agent ended before the command did.
base::Result<mounts::exec::End> run_in_guest(const ExecWish &wish);

// The terminal's size; 24 by 80 if it has none.
mounts::exec::Size terminal_size(int fd);

}  // namespace hostside

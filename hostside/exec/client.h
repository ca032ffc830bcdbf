// A command in a machine that runs, as seen from the host: it has our standard streams or files of ours, our terminal and its
// size, and the signals that we are sent; we have its end. By way of the machine's hub (hub.h).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "mounts/base/error.h"
#include "mounts/exec/request.h"

namespace hostside {

struct ExecStreams {
    int input = -1;  // -1: at its end at once
    int output = -1, errors = -1;
    // Instead of a descriptor; false: no more is wanted.
    std::function<bool(std::string_view)> take_output{}, take_errors{};
    int log = -1;         // what goes to output and errors goes here too
    bool signals = true;  // those that we get are the command's
};

struct ExecWish {
    std::string machine;        // its name, for messages
    std::string run_directory;  // of the machine
    mounts::exec::Request request{};
    ExecStreams streams{};
    int patience_s = 10;  // for an agent to be there; -1: as long as the machine runs
    int limit_s = -1;     // for all of it, the command too; -1: none
};

// How it ended. ETIMEDOUT: within `limit_s` it did not. With request.terminal, `streams.input` is made raw meanwhile. Error: no
// hub, no agent, or the machine or the agent ended before the command did.
base::Result<mounts::exec::End> run_in_guest(const ExecWish &wish);

// The terminal's size; 24 by 80 when it has none.
mounts::exec::Size terminal_size(int fd);

}  // namespace hostside

// QEMU as a child: started, listened to through the status port, its events and its console, ended when time is up, and
// its end told in one code. QEMU dies with us, whatever ends us. The terminal is as it was when this returns.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hostside/base/exit_code.h"
#include "hostside/run/console_log.h"
#include "hostside/run/console_server.h"
#include "hostside/run/console_view.h"
#include "hostside/run/run_event.h"
#include "mounts/base/error.h"

namespace hostside {

// A program beside QEMU that a machine can't be without: when it ends, QEMU does.
struct Companion {
    std::string name;
    RunEvent::Kind lost;
    std::function<bool()> ended;  // true once
    std::function<std::string()> last_words;
};

struct Supervision {
    std::vector<std::string> argv;
    std::string run_directory;
    ConsoleLog &console;  // argv names its writer
    int inherited = -1;   // a descriptor that argv names and QEMU has; -1: none
    std::vector<Companion> companions;
    int timeout_s = 0;                // 0: none
    bool other_user = false;          // QEMU becomes another user than ours
    bool terminal = true;             // QEMU has our stdin and stdout; not with a view
    ConsoleServer *server = nullptr;  // of a machine in the background
    ConsoleView *view = nullptr;      // shows the console to a person, and keeps QEMU's own words for its failure
    std::function<void(const RunEvent &)> report;
};

// The exit code. Error: QEMU could not be started.
base::Result<int> supervise(const Supervision &supervision);

}  // namespace hostside

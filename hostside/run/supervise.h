// Runs QEMU as a child: starts it, listens to its status port, events and console, ends it at the time limit, and returns one
// exit code. QEMU dies with this process, whatever ends it. The terminal's settings are restored on return.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hostside/base/exit_code.h"
#include "hostside/run/companion_watch.h"
#include "hostside/run/console_log.h"
#include "hostside/run/console_server.h"
#include "hostside/run/console_view.h"
#include "hostside/run/run_event.h"
#include "mounts/base/error.h"

namespace hostside {

struct Supervision {
    std::vector<std::string> argv;
    std::string run_directory;
    ConsoleLog &console;                // argv names its writer
    int inherited = -1;                 // a descriptor that argv names and QEMU inherits; -1: none
    std::vector<Companion> companions;  // when one ends, QEMU is ended
    int timeout_s = 0;                  // 0: none
    bool other_user = false;            // QEMU changes to another user
    bool terminal = true;               // QEMU uses our stdin and stdout; not together with a view
    ConsoleServer *server = nullptr;    // for a machine in the background
    ConsoleView *view = nullptr;        // shows the console to a person; keeps QEMU's output for the failure report
    std::function<void(const RunEvent &)> report;
    std::string first_words{};        // sent to the guest on its status port
    int news = -1;                    // borrowed; on_news is called once when it is readable; -1: none
    std::function<bool()> on_news{};  // false: end QEMU
};

// Returns the exit code. Error: QEMU could not be started.
base::Result<int> supervise(const Supervision &supervision);

}  // namespace hostside

#include "hostside/run/supervise.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <optional>
#include <span>
#include <utility>

#include "hostside/base/signals.h"
#include "hostside/run/guard.h"
#include "hostside/run/qemu_loop.h"
#include "hostside/run/terminal.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

bool hangs_up_ignored() {
    struct sigaction action{};
    return ::sigaction(SIGHUP, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// The signals that runvm handles. Not SIGHUP if nohup(1) made it ignored, because a blocked signal would still arrive here.
std::span<const int> heard_signals() {
    static constexpr std::array all{SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGCONT, SIGHUP};
    return std::span(all).first(hangs_up_ignored() ? all.size() - 1 : all.size());
}

}  // namespace

base::Result<int> supervise(const Supervision &s) {
    const Terminal terminal;
    const Signals signals(heard_signals());
    std::vector<int> inherited{s.console.writer()};
    if (s.inherited >= 0) inherited.push_back(s.inherited);
    auto child = base::start({.argv = s.argv,
                              .standard_input = s.terminal ? STDIN_FILENO : -1,
                              .inherited = inherited,
                              .capture_output = !s.terminal,
                              .dies_with_parent = true});
    if (!child) return std::unexpected(child.error());
    s.console.close_writer();
    std::optional<Guard> guard;
    if (s.other_user) {
        auto made = Guard::beside(child->pid);
        if (!made) {
            (void)::kill(child->pid, SIGKILL);
            (void)::waitpid(child->pid, nullptr, 0);
            return std::unexpected(made.error());
        }
        guard.emplace(std::move(*made));
    }
    const bool interactive = s.view != nullptr || (s.terminal && terminal.interactive());
    return QemuLoop(s, std::move(*child), interactive).to_the_end(signals);
}

}  // namespace hostside

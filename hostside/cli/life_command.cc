#include "hostside/cli/life_command.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <format>
#include <memory>
#include <thread>

#include "hostside/base/file_lock.h"
#include "hostside/base/printable.h"
#include "hostside/base/run_names.h"
#include "hostside/base/unix_socket.h"
#include "hostside/cli/command_words.h"
#include "hostside/cli/reporter.h"
#include "hostside/exec/client.h"
#include "hostside/host/run_directory.h"
#include "hostside/run/supervise.h"
#include "hostside/run/terminal.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::Result;

std::string in(const Running &m, std::string_view file) { return m.path + "/" + std::string(file); }

bool gone_within(const Running &m, std::chrono::milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
        auto now = running_machines();
        if (now && std::ranges::none_of(*now, [&](const Running &r) { return r.name == m.name; })) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
}

// Presses the power button, then sends SIGTERM to the launcher, which ends QEMU after flushing its disks.
int stop(const std::string &name, bool now, int patience_s) {
    auto m = find_machine(name);
    if (!m) return refuse(m.error());
    const bool pressed = !now && qmp(in(*m, qmp_socket), R"({"execute":"system_powerdown"})");
    if (pressed && gone_within(*m, std::chrono::seconds(patience_s))) return 0;
    // ESRCH: it ended just now.
    if (m->holder > 1 && ::kill(static_cast<pid_t>(m->holder), SIGTERM) < 0 && errno != ESRCH)
        return refuse({"stop", name, errno, ""});
    if (gone_within(*m, std::chrono::seconds(10))) {
        if (pressed)
            say(std::format("{} did not shut down within {} s of its power button, so it was ended", name, patience_s));
        else if (!now)
            say(std::format("{} was ended without its power button: its QEMU did not run yet, or did not answer", name));
        return 0;
    }
    return refuse({"stop", name, 0, std::format("its launcher, pid {}, does not end", m->holder)});
}

int console(const std::string &name) {
    auto m = find_machine(name);
    if (!m) return refuse(m.error());
    // QEMU would silently let a second client wait.
    auto alone = FileLock::take(in(*m, "console.lock"), "console of " + name);
    if (!alone) return refuse(alone.error());
    auto socket = connect_unix(in(*m, console_socket));
    if (!socket) {
        socket.error().hint = "only machines of `runvm start` have a console to join; `runvm run` shows it on its own terminal";
        return refuse(socket.error());
    }
    say(std::format("console of {}; ctrl-] leaves", name));
    Terminal terminal;
    terminal.make_raw();
    constexpr char leave = 0x1d;
    std::array<pollfd, 2> polls{{{STDIN_FILENO, POLLIN, 0}, {socket->get(), POLLIN, 0}}};
    std::array<char, 4096> chunk;
    for (;;) {
        if (::poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR) return refuse({"poll", "console", errno, ""});
        if (polls[1].revents != 0) {
            const ssize_t n = ::read(socket->get(), chunk.data(), chunk.size());
            if (n <= 0) return 0;
            (void)base::write_all(STDOUT_FILENO, {chunk.data(), static_cast<size_t>(n)}, "stdout");
        }
        if (polls[0].revents == 0) continue;
        const ssize_t n = ::read(STDIN_FILENO, chunk.data(), chunk.size());
        const std::string_view typed(chunk.data(), static_cast<size_t>(std::max<ssize_t>(n, 0)));
        if (typed.find(leave) != std::string_view::npos) return 0;
        if (n <= 0)
            polls[0].fd = -1;  // no more input; the guest's output goes on
        else if (auto sent = base::write_all(socket->get(), typed, "console"); !sent)
            return refuse(sent.error());
    }
}

// A terminal beside the console: in stage 1 the initrd's shell or prompt, later a shell of the system, through the agent.
int debug_console(const std::string &name) {
    auto m = find_machine(name);
    if (!m) return refuse(m.error());
    say(std::format("a terminal in {}; exit leaves", name));
    const auto end =
        run_in_guest({.machine = m->name, .run_directory = m->path, .request = request_of({}, {}), .streams = own_streams()});
    if (end) return status_of(*end);
    base::Error error = end.error();
    if (error.hint.starts_with(no_agent_answered))
        error.hint =
            "no shell answers; stage 1 has one only where the boot stops or fails, or with --debug-shell; stage 2 always has one";
    return refuse(error);
}

int ask(const std::string &name, const std::string &command) {
    auto m = find_machine(name);
    if (!m) return refuse(m.error());
    const std::string json = command.starts_with('{') ? command : std::format(R"({{"execute":"{}"}})", command);
    auto answer = qmp(in(*m, qmp_socket), json);
    if (!answer) return refuse(answer.error());
    const int printed = print_result(printable(*answer) + "\n");
    return printed == 0 && answer->starts_with("{\"error\"") ? 1 : printed;
}

}  // namespace

base::Result<Running> find_machine(const std::string &name) {
    auto machines = running_machines();
    if (!machines) return std::unexpected(machines.error());
    std::string others;
    for (const auto &m : *machines) {
        if (m.name == name) return m;
        others += (others.empty() ? "" : ", ") + m.name;
    }
    return base::fail(0, "find machine", name,
                      others.empty() ? "no machine is running" : "not running; running machines: " + others);
}

void add_life_commands(CLI::App &app, int &status) {
    struct Named {
        std::string name, command;
        bool now = false, debug = false;
        int patience_s = 10;
    };
    const auto add = [&](const char *verb, const char *help, const std::function<int(const Named &)> &body) {
        auto named = std::make_shared<Named>();
        CLI::App *command = app.add_subcommand(verb, help);
        command->add_option("name", named->name, "the machine")->required();
        command->callback([&status, named, body] { status = body(*named); });
        return std::pair{command, named};
    };
    auto [stop_command, stop_named] = add("stop", "press a machine's power button, and end the machine if it does not shut down",
                                          [](const Named &n) { return stop(n.name, n.now, n.patience_s); });
    stop_command->add_flag("--now", stop_named->now, "end it at once, without the power button");
    stop_command->add_option("--patience", stop_named->patience_s, "how long the guest may take to shut down")
        ->check(CLI::Range(0, 3600).description(""))
        ->type_name("SECONDS")
        ->capture_default_str();
    auto [console_command, console_named] = add("console", "join a machine's console",
                                                [](const Named &n) { return n.debug ? debug_console(n.name) : console(n.name); });
    console_command->add_flag("--debug", console_named->debug,
                              "open a second terminal with a shell; in stage 1, where the boot stops or fails");
    auto [qmp_command, qmp_named] =
        add("qmp", "send a command to QEMU's monitor", [](const Named &n) { return ask(n.name, n.command); });
    qmp_command->add_option("command", qmp_named->command, "a command such as query-status, or JSON")->required();
}

}  // namespace hostside

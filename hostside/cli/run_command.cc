#include "hostside/cli/run_command.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <memory>
#include <utility>

#include "hostside/base/exit_code.h"
#include "hostside/base/line_reader.h"
#include "hostside/base/signals.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/boot_disk.h"
#include "hostside/cli/machine_run.h"
#include "hostside/cli/reporter.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

// Runs the machine in a session of its own, without our terminal. Returns when QEMU runs or failed to start.
int start_machine(const Arguments &arguments) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return refuse({"pipe", "", errno, ""});
    base::Fd read_end(ends[0]);
    base::Fd write_end(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) return refuse({"fork", "", errno, ""});
    if (pid > 0) {
        write_end.reset();
        const std::string failure = base::read_all(read_end.get(), "background launcher", 65536).value_or("no answer");
        if (failure.empty()) return 0;
        for (const auto &line : LineReader(failure.size()).take(failure + "\n")) say(line);
        int status = 0;
        (void)::waitpid(pid, &status, 0);
        const int code = base::exit_code(status);
        return code == 0 ? launcher_error : code;
    }
    read_end.reset();
    (void)::setsid();
    const base::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(null.get(), standard);
    const int code = run_machine(arguments, [&](const std::string &failure) {
        // Only the first call counts, because the reader is gone after it.
        if (!failure.empty() && write_end) tell_reader(write_end.get(), failure);
        write_end.reset();
    });
    std::_Exit(code);  // without flushing the parent's buffers
}

}  // namespace

void add_run_commands(CLI::App &app, int &status) {
    const auto add = [&](const char *name, const char *help, const std::function<int(const Arguments &)> &body) {
        auto arguments = std::make_shared<Arguments>();
        CLI::App *command = app.add_subcommand(name, help);
        add_description_flags(*command, *arguments);
        add_from_flag(*command, *arguments);
        command->add_flag("--fresh", arguments->fresh, "move the root disk aside and start with a new one");
        command->add_option("--report", arguments->report, "write the steps of stage 1 to this file, as JSON")->type_name("FILE");
        command->add_flag("--notify-ready", arguments->notify_ready, "tell systemd (sd_notify) when the guest is ready");
        command->callback([&status, arguments, body] {
            const int code = provide_boot_disk(*arguments);
            status = code == 0 ? body(*arguments) : code;
        });
        return std::pair{command, arguments};
    };
    auto [run, arguments] = add("run", "start a machine and stay with it",
                                [](const Arguments &a) { return run_machine(a, [](const std::string &) {}); });
    run->add_flag("--print", arguments->print,
                  "show the commands that would start the machine, for pasting, and do nothing else");
    run->add_flag("--console", arguments->console,
                  "on a terminal, show the console from the beginning, instead of a line of phases");
    run->add_flag("--json", arguments->json, "write events to standard error, as JSON lines");
    auto [start, in_background] =
        add("start", "start a machine in the background", [](const Arguments &a) { return start_machine(a); });
    in_background->background = true;
    start
        ->add_flag(
            "--wait{stage2}", in_background->wait,
            "return when stage 2 begins, or with =ready when the guest reports that it is ready; report an earlier failure")
        ->type_name("stage2|ready")
        ->check(CLI::IsMember({"stage2", "ready"}).description(""));
}

}  // namespace hostside

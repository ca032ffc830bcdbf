#include "hostside/cli/run_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <print>

#include "hostside/base/exit_code.h"
#include "hostside/base/shell_words.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/reporter.h"
#include "hostside/host/guest_files.h"
#include "hostside/host/run_directory.h"
#include "hostside/launch/prepare.h"
#include "hostside/run/sd_notify.h"
#include "hostside/run/supervise.h"
#include "hostside/run/terminal.h"
#include "mounts/base/at.h"
#include "mounts/boot/boot_parameters.h"
#include "mounts/boot/command_line.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

int refuse(const base::Error &error) {
    say(base::message(error));
    return launcher_error;
}

int print_command(const Machine &machine) {
    auto parent = runtime_folder();
    if (!parent) return refuse(parent.error());
    // What is printed has its sockets there, and without a cache the initrd. A later start sweeps it.
    const std::string folder = *parent + "/" + machine.name;
    if (::mkdir(folder.c_str(), 0700) < 0 && errno != EEXIST) return refuse({"mkdir", folder, errno, ""});
    auto prepared = prepare(machine, {.run_folder = folder, .make = false, .progress = [](const std::string &) {}});
    if (!prepared) return refuse(prepared.error());
    auto argv = qemu_argv(machine, prepared->facts);
    if (!argv) return refuse(argv.error());
    std::println("{}", quote_words(*argv));
    return 0;
}

// What stage 1 did, step by step, as it left it in xchg: out of there before the folder goes.
base::Result<> keep_report(const std::string &xchg, const std::string &path) {
    constexpr size_t limit_bytes = size_t{16} << 20;
    auto text = read_from_guest(xchg, std::string(mounts::protocol::report_file), limit_bytes);
    if (!text) return std::unexpected(text.error());
    return base::replace_file(path, *text);
}

// The phases are told by our initrd, and a guest that stops for a person wants the console: there the line would only hide
// what there is to see.
bool wants_console(const Machine &machine) {
    if (machine.use_boot_loader || !machine.initrd.empty()) return true;
    std::string words;
    for (const auto &word : machine.kernel_params) (words += word) += ' ';
    const auto asked = mounts::boot_parameters(mounts::parse_command_line(words));
    return asked && (asked->stop_at_start || asked->stop_at_devices || asked->stop_at_mounts || !asked->break_before.empty());
}

// `started` is told once QEMU runs; for a machine in the background.
int run_machine(const Arguments &arguments, const std::function<void(const std::string &failure)> &started) {
    // A job of a shell's background: QEMU would set the terminal, and be stopped for it.
    if (::isatty(STDIN_FILENO) == 1 && !at_terminal(STDIN_FILENO)) {
        const base::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        if (!null || ::dup2(null.get(), STDIN_FILENO) < 0) return refuse({"open", "/dev/null", errno, ""});
    }
    const bool typing = at_terminal(STDIN_FILENO);
    const bool person = typing && ::isatty(STDOUT_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
    std::optional<ConsoleView> view;
    if (person && !arguments.background && !arguments.json && !arguments.print) view.emplace(arguments.console);
    Reporter report(arguments.json, view ? &*view : nullptr);
    const auto leave_view = [&] {
        report.without_view();
        view.reset();  // the terminal is as it was
    };
    const auto give_up = [&](const base::Error &error) {
        leave_view();
        started(base::message(error));
        return arguments.background ? launcher_error : refuse(error);
    };
    auto machine = machine_of(arguments);
    if (!machine) return give_up(machine.error());
    if (arguments.print) return print_command(*machine);
    if (view && wants_console(*machine)) view->open_console(false);
    auto folder = RunFolder::create(machine->name, !arguments.background);
    if (!folder) return give_up(folder.error());
    auto prepared = prepare(*machine, {.run_folder = folder->path(),
                                       .fresh = arguments.fresh,
                                       .terminal = !arguments.background && !view,
                                       .monitor = view || (!arguments.background && typing),
                                       .progress = [&](const std::string &what) { report.progress(what); }});
    if (!prepared) return give_up(prepared.error());
    auto console = ConsoleLog::create(folder->path());
    if (!console) return give_up(console.error());
    prepared->facts.console_log_fd = console->writer();
    auto argv = qemu_argv(*machine, prepared->facts);
    if (!argv) return give_up(argv.error());
    for (const auto &note : prepared->notes) report.note(note);
    const auto on_event = [&](const RunEvent &event) {
        if (event.kind == RunEvent::started) started("");
        if (event.kind == RunEvent::ready && arguments.notify_ready) notify_ready();
        report.event(event);
    };
    auto code = supervise({*argv, folder->path(), *console, prepared->store.view.folder.get(), &prepared->store.daemon,
                           machine->timeout_s, !arguments.background && !view, view ? &*view : nullptr, on_event});
    if (!code) return give_up(code.error());
    started("QEMU ended at once; `runvm run` with the same words shows what it says");
    if (*code == qemu_failed) report.note("QEMU failed; what it said is above");
    if (!arguments.report.empty())
        if (auto kept = keep_report(prepared->facts.xchg, arguments.report); !kept)
            report.note(std::format("no {}: {}", arguments.report, base::message(kept.error())));
    report.event({.kind = RunEvent::exit, .number = *code});
    leave_view();
    return *code;
}

// In a session of its own, without our terminal; this returns when QEMU runs, or did not come to that.
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
        say(failure);
        int status = 0;
        (void)::waitpid(pid, &status, 0);
        return launcher_error;
    }
    read_end.reset();
    (void)::setsid();
    const base::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(null.get(), standard);
    const int code = run_machine(arguments, [&](const std::string &failure) {
        // Only the first word counts: after it, nobody listens.
        if (!failure.empty() && write_end) (void)base::write_all(write_end.get(), failure, "pipe");
        write_end.reset();
    });
    std::_Exit(code);  // the parent's buffers are its own
}

}  // namespace

void add_run_commands(CLI::App &app, int &status) {
    const auto add = [&](const char *name, const char *help, const std::function<int(const Arguments &)> &body) {
        auto arguments = std::make_shared<Arguments>();
        CLI::App *command = app.add_subcommand(name, help);
        add_description_flags(*command, *arguments);
        command->add_flag("--fresh", arguments->fresh, "put the root disk aside and start with a new one");
        command->add_option("--report", arguments->report, "what stage 1 did, step by step, as JSON, is left there")
            ->type_name("FILE");
        command->add_flag("--notify-ready", arguments->notify_ready, "tell systemd (sd_notify) when the guest is ready");
        command->callback([&status, arguments, body] { status = body(*arguments); });
        return std::pair{command, arguments};
    };
    auto [run, arguments] = add("run", "start a machine and stay with it",
                                [](const Arguments &a) { return run_machine(a, [](const std::string &) {}); });
    run->add_flag("--print", arguments->print, "show QEMU's command, for pasting, and start nothing");
    run->add_flag("--console", arguments->console, "on a terminal, the console from its first word, instead of a line of phases");
    run->add_flag("--json", arguments->json, "events as JSON lines on stderr");
    add("start", "start a machine in the background", [](const Arguments &a) { return start_machine(a); }).second->background =
        true;
}

}  // namespace hostside

#include "hostside/cli/run_command.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <format>
#include <functional>
#include <memory>
#include <optional>
#include <print>
#include <utility>

#include "hostside/base/exit_code.h"
#include "hostside/base/line_reader.h"
#include "hostside/base/printable.h"
#include "hostside/base/run_names.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/boot_disk.h"
#include "hostside/cli/fork.h"
#include "hostside/cli/reporter.h"
#include "hostside/exec/hub.h"
#include "hostside/host/guest_files.h"
#include "hostside/host/last_run.h"
#include "hostside/host/run_directory.h"
#include "hostside/launch/closure_names.h"
#include "hostside/launch/prepare.h"
#include "hostside/run/ending.h"
#include "hostside/run/sd_notify.h"
#include "hostside/run/supervise.h"
#include "hostside/run/terminal.h"
#include "hostside/run/typed_pipe.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "mounts/base/shell_words.h"
#include "mounts/boot/boot_parameters.h"
#include "mounts/boot/command_line.h"

namespace hostside {

namespace {

// Resolves relative names against the current directory.
int print_command(const Machine &machine, const Arguments &arguments) {
    std::vector<std::string> initrd{std::filesystem::read_symlink("/proc/self/exe"), "initrd", "--complete"};
    for (auto &word : description_words(arguments)) initrd.push_back(std::move(word));
    initrd.emplace_back("-o");
    auto lines = printed_launch(
        machine, {.run_directory = runtime_directory_path() + "/" + machine.name, .fresh = arguments.fresh, .pasted = true},
        initrd);
    if (!lines) return refuse(lines.error());
    std::print("{}", *lines);
    return 0;
}

// Saves stage 1's report from xchg before the directory is removed.
base::Result<> keep_report(const HostFacts &facts, const std::string &path) {
    constexpr size_t limit_bytes = size_t{16} << 20;
    auto text = guest_report(facts.run_directory, facts.xchg, limit_bytes);
    if (!text) return std::unexpected(text.error());
    return base::replace_file(path, *text);
}

// The live line needs phases, which only our initrd reports. A guest that stops for a user needs the console, and the line
// would hide it.
bool wants_console(const Machine &machine) {
    if (machine.use_boot_loader || !machine.initrd.empty()) return true;
    std::string words;
    for (const auto &word : machine.kernel_params) (words += word) += ' ';
    const auto asked = mounts::boot_parameters(mounts::parse_command_line(words));
    return asked && (asked->stop_at_start || asked->stop_at_devices || asked->stop_at_mounts || !asked->break_before.empty() ||
                     !asked->break_before_steps.empty());
}

std::function<base::Result<>(const Machine &, const HostFacts &)> check_of(const Restoring &restoring) {
    return [&restoring](const Machine &m, const HostFacts &host) { return restoring.check(m, host); };
}

// Whether a background machine has reached what its starter waits for.
bool far_enough(const std::string &wait, const Heard &heard) {
    if (wait.empty()) return heard.started;
    if (wait == "fork-point") return heard.at_fork_point;
    return heard.ready || (wait == "stage2" && how_far(heard) == "stage 2");
}

// The end of the console log's two parts.
std::string console_tail(const std::string &run_directory) {
    constexpr size_t enough_bytes = size_t{64} << 10;
    std::string text;
    for (const std::string_view part : {console_log_before, console_log})
        text += base::read_file(run_directory + "/" + std::string(part)).value_or("");
    if (text.size() > enough_bytes) text.erase(0, text.size() - enough_bytes);
    return printable_lines(text);
}

RunRecord record_of(const Machine &machine) {
    RunRecord record{.started_s = ::time(nullptr), .memory_mib = machine.memory_mib, .ports = "", .state = "disk", .cause = ""};
    for (const auto &port : machine.forward_ports)
        record.ports += std::format("{}{}{}{}", record.ports.empty() ? "" : ", ", port.host_port,
                                    port.from == "host" ? "->" : "<-", port.guest_port);
    return record;
}

// A fleet keeps its machines' files in its own directory, where the run's name does not find them.
std::string where_to_look(const std::string &name) {
    const char *fleet = std::getenv(kept_in.data());
    const std::string place = fleet != nullptr ? fleet : "";
    std::string look;
    if (place.empty())
        look = "runvm logs " + name;
    else if (!last_console(name).value_or("").empty())
        look = base::quote_word(place + "/console.log");
    if (last_report(name))
        look +=
            (look.empty() ? "" : ", ") + ("runvm report " + (place.empty() ? name : base::quote_word(place + "/report.json")));
    return look;
}

// After QEMU's end: adds the run to the last runs, and returns its last words.
std::vector<std::string> conclude(const Heard &heard, const Machine &machine, const Prepared &prepared, RunRecord &record,
                                  int code, double seconds) {
    const std::string &directory = prepared.facts.run_directory;
    const Ending ending = ending_of(
        heard, {code, machine.timeout_s, machine.memory_mib, prepared.facts.initrd, code == 0 ? "" : console_tail(directory),
                prepared.facts.root_image, machine.disk_image_format == "raw" && !machine.ephemeral});
    record.ended_s = ::time(nullptr);
    record.exit_code = code;
    record.cause = cause(ending);
    const std::string name = std::filesystem::path(directory).filename();
    const bool kept = keep_run(directory, prepared.facts.xchg, record);
    return last_words(ending, code, seconds, kept ? where_to_look(name) : "");
}

std::vector<Companion> companions_of(Prepared &prepared) {
    std::vector<Companion> companions;
    if (CompanionProcess &store = prepared.store.daemon; store.runs())
        companions.push_back(
            {"virtiofsd", RunEvent::store_lost, [&] { return store.ended(); }, [&] { return store.last_words(); }});
    if (CompanionProcess &tpm = prepared.tpm; tpm.runs())
        companions.push_back({"swtpm", RunEvent::tpm_lost, [&] { return tpm.ended(); }, [&] { return tpm.last_words(); }});
    return companions;
}

std::string joined_lines(const std::vector<std::string> &lines) {
    std::string text;
    for (const auto &line : lines) text += (text.empty() ? "" : "\n") + line;
    return text;
}

// For a job in a shell's background: QEMU would be stopped when it configures the terminal.
base::Result<> leave_the_terminal_of_others() {
    if (::isatty(STDIN_FILENO) != 1 || at_terminal(STDIN_FILENO)) return {};
    const base::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null || ::dup2(null.get(), STDIN_FILENO) < 0) return base::fail(errno, "open", "/dev/null");
    return {};
}

}  // namespace

// For a background machine, calls `started` when QEMU runs or the awaited point is reached.
int run_machine(const Arguments &arguments, const std::function<void(const std::string &failure)> &started) {
    if (auto left = leave_the_terminal_of_others(); !left) return refuse(left.error());
    const bool typing = at_terminal(STDIN_FILENO);
    const bool person = typing && ::isatty(STDOUT_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
    std::optional<ConsoleView> view;
    if (person && !arguments.background && !arguments.json && !arguments.print) view.emplace(arguments.console);
    Reporter report(arguments.json, view ? &*view : nullptr, arguments.quiet);
    const auto leave_view = [&] {
        report.without_view();
        view.reset();  // restores the terminal
    };
    const auto give_up = [&](const base::Error &error) {
        leave_view();
        started(base::message(error));
        return arguments.background ? launcher_error : refuse(error);
    };
    auto machine = machine_of(arguments);
    if (!machine) return give_up(machine.error());
    auto restoring = Restoring::open(arguments.from);
    if (!restoring) return give_up(restoring.error());
    if (arguments.print && restoring->wanted())
        return give_up({"print", restoring->path(), 0, "a snapshot is restored by runvm itself"});
    if (arguments.print) return print_command(*machine, arguments);
    if (view && wants_console(*machine)) view->open_console(false);
    auto directory = RunDirectory::create(machine->name, !arguments.background || arguments.told_directory);
    if (!directory) return give_up(directory.error());
    if (arguments.told_directory) arguments.told_directory(directory->path());
    auto prepared = prepare(*machine, {.run_directory = directory->path(),
                                       .fresh = arguments.fresh,
                                       .terminal = !arguments.background && !view,
                                       .monitor = view || (!arguments.background && typing),
                                       .memory_file = restoring->wanted() ? restoring->memory_file() : arguments.memory_file,
                                       .restored = restoring->wanted(),
                                       .check = restoring->wanted() ? check_of(*restoring) : arguments.check,
                                       .progress = [&](const std::string &what) { report.progress(what); }});
    if (!prepared) return give_up(prepared.error());
    auto console = ConsoleLog::create(directory->path());
    if (!console) return give_up(console.error());
    prepared->facts.console_log_fd = console->writer();
    std::optional<ConsoleServer> server;
    if (arguments.background) {
        auto listening = ConsoleServer::listen(directory->path());
        if (!listening) return give_up(listening.error());
        server.emplace(std::move(*listening));
    }
    if (view || server) {
        auto pipe = make_typed_pipe(directory->path());
        if (!pipe) return give_up(pipe.error());
        prepared->facts.typed_pipe = std::move(*pipe);
    }
    auto argv = qemu_argv(*machine, prepared->facts);
    if (!argv) return give_up(argv.error());
    for (const auto &note : prepared->notes) report.note(note);
    if (traces_paths(*machine))
        (void)base::replace_file(directory->path() + "/" + std::string(closure_names), closure_names_of(*machine));
    Heard heard;
    RunRecord record = record_of(*machine);
    note_run(directory->path(), record);
    if (auto begun = restoring->begin(*machine, directory->path()); !begun) return give_up(begun.error());
    const auto on_event = [&](const RunEvent &event) {
        heard.event(event);
        if (const std::string state = how_far(heard); state != std::exchange(record.state, state))
            note_run(directory->path(), record);
        if (restoring->awake() && far_enough(arguments.wait, heard)) started("");
        if (event.kind == RunEvent::ready && arguments.notify_ready) notify_ready();
        report.event(event);
    };
    const auto on_news = [&] {
        if (!restoring->finish()) return false;
        if (restoring->was_ready())
            on_event({RunEvent::ready});
        else if (far_enough(arguments.wait, heard))
            started("");
        return true;
    };
    const HubProcess hub(prepared->facts.runvm, directory->path(), restoring->wanted());
    auto code = supervise({*argv, directory->path(), *console, prepared->store.view.directory.get(), companions_of(*prepared),
                           machine->timeout_s, prepared->facts.run_as.has_value(), !arguments.background && !view,
                           server ? &*server : nullptr, view ? &*view : nullptr, on_event, restoring->first_words(),
                           restoring->fd(), on_news});
    if (!code) return give_up(code.error());
    if (!restoring->failure().empty() && *code == launcher_error)
        return give_up({"restore", restoring->path(), 0, restoring->failure()});
    if (!arguments.report.empty())
        if (auto kept = keep_report(prepared->facts, arguments.report); !kept)
            report.note(std::format("no {}: {}", arguments.report, base::message(kept.error())));
    const auto words = conclude(heard, *machine, *prepared, record, *code, report.seconds());
    if (!record.cause.empty()) report.event({RunEvent::cause, record.cause});
    report.event({.kind = RunEvent::exit, .number = *code});
    leave_view();
    started(words.empty() ? "the machine ended, status 0, before it came to what --wait waits for" : joined_lines(words));
    // No message for a machine that we ended ourselves.
    if (!arguments.json && !(arguments.quiet && *code == 128 + SIGTERM)) say_last(words);
    return *code;
}

namespace {

// Runs the machine in a new session without our terminal. Returns when QEMU runs or has failed to start.
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
        // Only the first message counts; afterwards nobody listens.
        if (!failure.empty() && write_end) (void)base::write_all(write_end.get(), failure, "pipe");
        write_end.reset();
    });
    std::_Exit(code);  // does not flush the parent's buffers
}

}  // namespace

void add_run_commands(CLI::App &app, int &status) {
    const auto add = [&](const char *name, const char *help, const std::function<int(const Arguments &)> &body) {
        auto arguments = std::make_shared<Arguments>();
        CLI::App *command = app.add_subcommand(name, help);
        add_description_flags(*command, *arguments);
        add_from_flag(*command, *arguments);
        command->add_flag("--fresh", arguments->fresh, "put the root disk aside and start with a new one");
        command->add_option("--report", arguments->report, "what stage 1 did, step by step, as JSON, is left there")
            ->type_name("FILE");
        command->add_flag("--notify-ready", arguments->notify_ready, "tell systemd (sd_notify) when the guest is ready");
        command->callback([&status, arguments, body] {
            const int code = provide_boot_disk(*arguments);
            status = code == 0 ? body(*arguments) : code;
        });
        return std::pair{command, arguments};
    };
    auto [run, arguments] = add("run", "start a machine and stay with it",
                                [](const Arguments &a) { return run_machine(a, [](const std::string &) {}); });
    run->add_flag("--print", arguments->print, "show the commands that would start it, for pasting, and do nothing");
    run->add_flag("--console", arguments->console, "on a terminal, the console from its first word, instead of a line of phases");
    run->add_flag("--json", arguments->json, "events as JSON lines on stderr");
    auto [start, in_background] =
        add("start", "start a machine in the background", [](const Arguments &a) { return start_machine(a); });
    in_background->background = true;
    start
        ->add_flag("--wait{stage2}", in_background->wait,
                   "return when stage 2 begins, with =ready when the guest says that it is ready; a failure before that is told")
        ->type_name("stage2|ready")
        ->check(CLI::IsMember({"stage2", "ready"}).description(""));
}

}  // namespace hostside

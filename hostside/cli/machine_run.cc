#include "hostside/cli/machine_run.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <format>
#include <optional>
#include <utility>
#include <vector>

#include "hostside/base/exit_code.h"
#include "hostside/base/run_names.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/conclusion.h"
#include "hostside/cli/fork.h"
#include "hostside/cli/reporter.h"
#include "hostside/exec/hub.h"
#include "hostside/host/run_directory.h"
#include "hostside/launch/closure_names.h"
#include "hostside/launch/prepare.h"
#include "hostside/run/sd_notify.h"
#include "hostside/run/supervise.h"
#include "hostside/run/terminal.h"
#include "hostside/run/typed_pipe.h"
#include "mounts/base/at.h"
#include "mounts/boot/boot_parameters.h"
#include "mounts/boot/command_line.h"

namespace hostside {

namespace {

// Prints what would start the machine. Relative file names are relative to the current directory.
int print_command(const Machine &machine, const Arguments &arguments) {
    const std::string runvm = std::filesystem::read_symlink("/proc/self/exe");
    std::vector<std::string> initrd{runvm, "initrd", "--complete"}, boot_disk{runvm, "boot-disk"};
    for (const auto &word : description_words(arguments)) {
        initrd.push_back(word);
        boot_disk.push_back(word);
    }
    initrd.emplace_back("-o");
    auto lines = printed_launch(
        machine, {.run_directory = runtime_directory_path() + "/" + machine.name, .fresh = arguments.fresh, .pasted = true},
        {.initrd = std::move(initrd), .boot_disk = std::move(boot_disk)});
    if (!lines) return refuse(lines.error());
    return print_result(*lines);
}

// The line of phases needs our initrd, which reports them. If the guest will stop and ask the person something, the line would
// hide the question.
bool wants_console(const Machine &machine) {
    if (machine.use_boot_loader || !machine.initrd.empty()) return true;
    std::string words;
    for (const auto &word : machine.kernel_params) (words += word) += ' ';
    const auto asked = mounts::boot_parameters(mounts::parse_command_line(words));
    return asked && (asked->stop_at_start || asked->stop_at_devices || asked->stop_at_mounts || !asked->break_before.empty() ||
                     !asked->break_before_steps.empty());
}

// Whether a machine in the background has reached the point that `start --wait` waits for.
bool far_enough(const std::string &wait, const Heard &heard) {
    if (wait.empty()) return heard.started;
    if (wait == "fork-point") return heard.at_fork_point;
    return heard.ready || (wait == "stage2" && how_far(heard) == "stage 2");
}

std::vector<Companion> companions_of(Prepared &prepared) {
    std::vector<Companion> companions;
    if (CompanionProcess &store = prepared.store.daemon; store.runs())
        companions.push_back(
            {"virtiofsd", RunEvent::store_lost, [&] { return store.ended(); }, [&] { return store.last_words(); }});
    for (auto &[tag, daemon] : prepared.shares)
        companions.push_back({std::format("virtiofsd of {}", tag), RunEvent::share_lost, [&] { return daemon.ended(); },
                              [&] { return daemon.last_words(); }});
    if (CompanionProcess &tpm = prepared.tpm; tpm.runs())
        companions.push_back({"swtpm", RunEvent::tpm_lost, [&] { return tpm.ended(); }, [&] { return tpm.last_words(); }});
    return companions;
}

std::string joined_lines(const std::vector<std::string> &lines) {
    std::string text;
    for (const auto &line : lines) text += (text.empty() ? "" : "\n") + line;
    return text;
}

// In a background job of a shell, QEMU would be stopped as soon as it sets the terminal.
base::Result<> leave_the_terminal_of_others() {
    if (::isatty(STDIN_FILENO) != 1 || at_terminal(STDIN_FILENO)) return {};
    const base::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null || ::dup2(null.get(), STDIN_FILENO) < 0) return base::fail(errno, "open", "/dev/null");
    return {};
}

// For a person at a terminal; nothing for everybody else.
std::optional<ConsoleView> view_for(const Arguments &arguments, bool typing) {
    const bool person = typing && ::isatty(STDOUT_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
    if (!person || arguments.background || arguments.json || arguments.print) return std::nullopt;
    return std::make_optional<ConsoleView>(arguments.console);
}

// Its steps are in the order of its methods; each needs what the ones before made.
class MachineRun {
  public:
    MachineRun(const Arguments &arguments, const std::function<void(const std::string &)> &started)
        : arguments_(arguments), started_(started) {}

    int run();

  private:
    base::Result<> describe();
    base::Result<> provide();
    base::Result<> open_console();
    base::Result<int> supervise_qemu();
    int conclude_run(int code);

    void on_event(const RunEvent &event);
    bool on_restored();
    int give_up(const base::Error &error);
    void leave_view();

    const Arguments &arguments_;
    const std::function<void(const std::string &failure)> &started_;
    const bool typing_ = at_terminal(STDIN_FILENO);  // stdin is our terminal
    std::optional<ConsoleView> view_ = view_for(arguments_, typing_);
    Reporter report_{arguments_.json, view_ ? &*view_ : nullptr, arguments_.quiet};

    Machine machine_;
    std::optional<Restoring> restoring_;
    std::optional<RunDirectory> directory_;
    std::optional<Prepared> prepared_;
    std::optional<ConsoleLog> console_;
    std::optional<ConsoleServer> server_;  // for a machine in the background
    Heard heard_;
    RunRecord record_{};
};

int MachineRun::run() {
    if (auto described = describe(); !described) return give_up(described.error());
    if (arguments_.print) return print_command(machine_, arguments_);
    // Whoever reads our messages may stop reading (| head); the machine and its status must not end with that.
    (void)std::signal(SIGPIPE, SIG_IGN);
    if (auto provided = provide(); !provided) return give_up(provided.error());
    if (auto opened = open_console(); !opened) return give_up(opened.error());
    auto code = supervise_qemu();
    if (!code) return give_up(code.error());
    return conclude_run(*code);
}

base::Result<> MachineRun::describe() {
    auto machine = machine_of(arguments_);
    if (!machine) return std::unexpected(machine.error());
    machine_ = std::move(*machine);
    auto restoring = Restoring::open(arguments_.from);
    if (!restoring) return std::unexpected(restoring.error());
    restoring_.emplace(std::move(*restoring));
    if (arguments_.print && restoring_->wanted())
        return base::fail(0, "print", restoring_->path(), "only runvm itself can restore a snapshot");
    return {};
}

// Everything that QEMU needs and that is made or checked before it starts.
base::Result<> MachineRun::provide() {
    if (view_ && wants_console(machine_)) view_->open_console(false);
    auto directory = RunDirectory::create(machine_.name, !arguments_.background || arguments_.told_directory);
    if (!directory) return std::unexpected(directory.error());
    directory_.emplace(std::move(*directory));
    if (arguments_.told_directory) arguments_.told_directory(directory_->path());
    const bool restored = restoring_->wanted();
    auto check = arguments_.check;
    if (restored) check = [this](const Machine &m, const HostFacts &host) { return restoring_->check(m, host); };
    auto prepared = prepare(machine_, {.run_directory = directory_->path(),
                                       .fresh = arguments_.fresh,
                                       .terminal = !arguments_.background && !view_,
                                       .monitor = view_ || (!arguments_.background && typing_),
                                       .memory_file = restored ? restoring_->memory_file() : arguments_.memory_file,
                                       .restored = restored,
                                       .new_paths = restoring_->new_paths(machine_),
                                       .check = std::move(check),
                                       .progress = [this](const std::string &what) { report_.progress(what); }});
    if (!prepared) return std::unexpected(prepared.error());
    prepared_.emplace(std::move(*prepared));
    return {};
}

base::Result<> MachineRun::open_console() {
    auto console = ConsoleLog::create(directory_->path());
    if (!console) return std::unexpected(console.error());
    console_.emplace(std::move(*console));
    prepared_->facts.console_log_fd = console_->writer();
    if (arguments_.background) {
        auto server = ConsoleServer::listen(directory_->path());
        if (!server) return std::unexpected(server.error());
        server_.emplace(std::move(*server));
    }
    if (!view_ && !server_) return {};
    auto pipe = make_typed_pipe(directory_->path());
    if (!pipe) return std::unexpected(pipe.error());
    prepared_->facts.typed_pipe = std::move(*pipe);
    return {};
}

base::Result<int> MachineRun::supervise_qemu() {
    auto argv = qemu_argv(machine_, prepared_->facts);
    if (!argv) return std::unexpected(argv.error());
    for (const auto &note : prepared_->notes) report_.note(note);
    const std::string &directory = directory_->path();
    if (traces_paths(machine_))
        (void)base::replace_file(directory + "/" + std::string(closure_names), closure_names_of(machine_));
    record_ = record_of(machine_);
    note_run(directory, record_);
    if (auto begun = restoring_->begin(machine_, directory); !begun) return std::unexpected(begun.error());
    const HubProcess hub(prepared_->facts.runvm, directory, restoring_->wanted());
    auto code = supervise({.argv = *argv,
                           .run_directory = directory,
                           .console = *console_,
                           .inherited = prepared_->store.view.directory.get(),
                           .companions = companions_of(*prepared_),
                           .timeout_s = machine_.timeout_s,
                           .other_user = prepared_->facts.run_as.has_value(),
                           .terminal = !arguments_.background && !view_,
                           .server = server_ ? &*server_ : nullptr,
                           .view = view_ ? &*view_ : nullptr,
                           .report = [this](const RunEvent &event) { on_event(event); },
                           .first_words = restoring_->first_words(),
                           .news = restoring_->fd(),
                           .on_news = [this] { return on_restored(); }});
    if (code && *code == launcher_error && !restoring_->failure().empty())
        return base::fail(0, "restore", restoring_->path(), restoring_->failure());
    return code;
}

void MachineRun::on_event(const RunEvent &event) {
    heard_.event(event);
    if (const std::string state = how_far(heard_); state != std::exchange(record_.state, state))
        note_run(directory_->path(), record_);
    if (restoring_->awake() && far_enough(arguments_.wait, heard_)) started_("");
    if (event.kind == RunEvent::ready && arguments_.notify_ready) notify_ready();
    report_.event(event);
}

// False: the restored machine does not run.
bool MachineRun::on_restored() {
    if (!restoring_->finish()) return false;
    if (restoring_->was_ready())
        on_event({RunEvent::ready});
    else if (far_enough(arguments_.wait, heard_))
        started_("");
    return true;
}

int MachineRun::conclude_run(int code) {
    if (!arguments_.report.empty())
        if (auto kept = keep_report(prepared_->facts, arguments_.report); !kept)
            report_.note(std::format("there is no {}: {}", arguments_.report, base::message(kept.error())));
    const auto words = conclude(heard_, machine_, *prepared_, record_, code, report_.seconds());
    if (!record_.cause.empty()) report_.event({RunEvent::cause, record_.cause});
    report_.event({.kind = RunEvent::exit, .number = code});
    leave_view();
    started_(words.empty() ? "the machine ended with status 0 before it reached what --wait waits for" : joined_lines(words));
    // A machine that we ended on request needs no last words.
    if (!arguments_.json && !(arguments_.quiet && code == 128 + SIGTERM)) say_last(words);
    return code;
}

// The terminal becomes what it was before.
void MachineRun::leave_view() {
    report_.without_view();
    view_.reset();
}

int MachineRun::give_up(const base::Error &error) {
    leave_view();
    started_(base::message(error));
    return arguments_.background ? launcher_error : report_.refuse(error);
}

}  // namespace

int run_machine(const Arguments &arguments, const std::function<void(const std::string &failure)> &started) {
    if (auto left = leave_the_terminal_of_others(); !left) return refuse(left.error());
    return MachineRun(arguments, started).run();
}

}  // namespace hostside

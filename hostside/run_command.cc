#include "hostside/run_command.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <format>
#include <memory>
#include <print>

#include "hostside/description.h"
#include "hostside/environment.h"
#include "hostside/guest_folder.h"
#include "hostside/initrd.h"
#include "hostside/prepare.h"
#include "hostside/run_folder.h"
#include "hostside/shell_words.h"
#include "hostside/supervise.h"
#include "mounts/base/at.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::Result;

struct Flag {
    Key key;
    std::vector<std::string> values;
};

// What all commands that take a description share.
struct Arguments {
    std::string config, store_union;
    std::vector<Flag> flags;
    std::vector<std::string> extra;  // after `--`: for QEMU, as the 2013 script's "$@"
    bool print = false, json = false, fresh = false, notify_ready = false, background = false;
    std::string output, report;
};

// Short names beside those that come from the keys.
std::string aliases(const std::string &path) {
    if (path == "memorySize") return ",--memory,-m";
    if (path == "regInfo") return ",--reginfo";
    if (path == "kernelParams") return ",--append";
    if (path == "extraModules") return ",--module";
    if (path == "qemu.program") return ",--qemu";
    if (path == "qemu.options") return ",--qemu-option";
    if (path == "accelerator") return ",--accel";
    return "";
}

void add_description_flags(CLI::App &command, const std::shared_ptr<Arguments> &arguments) {
    command.add_option("--config", arguments->config, "a description in JSON; see runvm.json(5)")->type_name("FILE");
    const auto all = keys();
    arguments->flags.reserve(all.size());  // CLI11 keeps addresses
    for (const auto &key : all) {
        Flag &flag = arguments->flags.emplace_back(Flag{key, {}});
        const std::string names = key.flag + aliases(key.path);
        auto *option = command.add_option(names, flag.values, key.help)->type_name(key.boolean ? "BOOL" : "VALUE");
        option->expected(key.boolean ? 0 : 1, 1)->allow_extra_args(false);
        if (key.boolean) option->default_str("true");
        option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->run_callback_for_default(false);
    }
    command.add_option("--union", arguments->store_union, "writableStore and writableStoreUseTmpfs in one: off, tmpfs, disk")
        ->check(CLI::IsMember({"off", "tmpfs", "disk"}));
    command.add_option("arguments", arguments->extra, "after --: more arguments for QEMU");
}

void say(const std::string &text) { std::println(stderr, "runvm: {}", text); }

int refuse(const base::Error &error) {
    say(base::message(error));
    return launcher_error;
}

Result<std::vector<Layer>> layers_of(const Arguments &arguments) {
    std::vector<Layer> layers;
    if (!arguments.config.empty()) {
        auto text = base::read_file(arguments.config, size_t{16} << 20);
        if (!text) return std::unexpected(text.error());
        layers.push_back({arguments.config, std::move(*text), false});
    }
    std::vector<Layer> flags;
    for (const auto &flag : arguments.flags)
        for (const auto &value : flag.values) {
            auto layer = setting(flag.key.path, flag.key.boolean && value.empty() ? "true" : value, flag.key.flag);
            if (!layer) return std::unexpected(layer.error());
            flags.push_back(std::move(*layer));
        }
    if (!arguments.store_union.empty())
        flags.push_back({"--union",
                         std::format(R"({{"writableStore":{},"writableStoreUseTmpfs":{}}})", arguments.store_union != "off",
                                     arguments.store_union == "tmpfs"),
                         false});
    for (const auto &word : arguments.extra) {
        auto layer = setting("qemu.options", word, "after --");
        if (!layer) return std::unexpected(layer.error());
        flags.push_back(std::move(*layer));
    }
    // The machine's name decides one variable's name, so it is known first.
    std::vector<Layer> named = layers;
    named.insert(named.end(), flags.begin(), flags.end());
    auto first = machine_from(named);
    if (!first) return std::unexpected(first.error());
    auto environment = environment_layers([](const char *name) { return std::getenv(name); }, first->name);
    if (!environment) return environment;
    layers.insert(layers.end(), environment->begin(), environment->end());
    layers.insert(layers.end(), flags.begin(), flags.end());
    return layers;
}

std::string json_text(std::string_view text) {
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            (quoted += '\\') += c;
        else if (static_cast<unsigned char>(c) < 0x20)
            quoted += std::format("\\u{:04x}", static_cast<unsigned>(c));
        else
            quoted += c;
    }
    return quoted + '"';
}

// sd_notify(3): one datagram to $NOTIFY_SOCKET.
void notify_ready() {
    const char *path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    if (path == nullptr || std::strlen(path) >= sizeof address.sun_path) return;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path, std::strlen(path));
    if (*path == '@') address.sun_path[0] = '\0';
    const base::Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
    constexpr std::string_view text = "READY=1\n";
    (void)::sendto(socket.get(), text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr *>(&address), size);
}

// Events as lines: for people, or JSON for programs.
class Reporter {
  public:
    explicit Reporter(const Arguments &arguments) : arguments_(arguments) {}
    void operator()(std::string_view event, std::string_view detail) const {
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
        if (event == "ready" && arguments_.notify_ready) notify_ready();
        if (arguments_.json) {
            std::println(stderr, "{{\"event\":{},\"seconds\":{:.3f},\"detail\":{}}}", json_text(event), seconds,
                         json_text(detail));
            return;
        }
        const std::string line = sentence(event, detail);
        if (!line.empty()) say(std::format("{:.1f} s: {}", seconds, line));
    }
    void note(const std::string &text) const {
        if (arguments_.json)
            (*this)("note", text);
        else
            say(text);
    }

  private:
    static std::string sentence(std::string_view event, std::string_view detail) {
        if (event == "ready") return "ready";
        if (event == "guest-exit") return detail == "0" ? "" : std::format("the guest failed with status {}", detail);
        if (event == "stage1-failed") return std::format("stage 1 failed: {}", detail);
        if (event == "panic") return "the guest's kernel panicked; its last words are on the console";
        if (event == "disk-full") return std::format("no room on the host for the guest's disk '{}': free some", detail);
        if (event == "disk-error") return std::format("the host could not read or write the guest's disk '{}'", detail);
        if (event == "timeout") return std::format("ended after its {} s (timeout)", detail);
        if (event == "signal") return std::format("ended by signal {}", detail);
        return "";  // started, exit: nothing that a person at the console misses
    }
    const Arguments &arguments_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

Result<Machine> machine_of(const Arguments &arguments) {
    auto layers = layers_of(arguments);
    if (!layers) return std::unexpected(layers.error());
    return machine_from(*layers);
}

int print_command(const Machine &machine) {
    auto parent = runtime_folder();
    if (!parent) return refuse(parent.error());
    auto prepared = prepare(machine, {*parent + "/" + machine.name, false, false, true});
    if (!prepared) return refuse(prepared.error());
    auto argv = qemu_argv(machine, prepared->facts);
    if (!argv) return refuse(argv.error());
    std::println("{}", quote_words(*argv));
    return 0;
}

// What stage 1 did, step by step, as it left it in xchg: out of there before the folder goes.
Result<> keep_report(const std::string &xchg, const std::string &path) {
    constexpr size_t limit_bytes = size_t{16} << 20;
    auto text = read_from_guest(xchg, std::string(mounts::protocol::report_file), limit_bytes);
    if (!text) return std::unexpected(text.error());
    return base::replace_file(path, *text);
}

// `started` is told once QEMU runs; for a machine in the background.
int run_machine(const Arguments &arguments, const std::function<void(const std::string &failure)> &started) {
    const Reporter report(arguments);
    const auto give_up = [&](const base::Error &error) {
        started(base::message(error));
        return arguments.background ? launcher_error : refuse(error);
    };
    auto machine = machine_of(arguments);
    if (!machine) return give_up(machine.error());
    if (arguments.print) return print_command(*machine);
    auto folder = RunFolder::create(machine->name, !arguments.background);
    if (!folder) return give_up(folder.error());
    auto prepared =
        prepare(*machine, {folder->path(), true, arguments.fresh, !arguments.background, ::isatty(STDIN_FILENO) == 1});
    if (!prepared) return give_up(prepared.error());
    auto console = ConsoleLog::create(folder->path());
    if (!console) return give_up(console.error());
    prepared->facts.console_log_fd = console->writer();
    auto argv = qemu_argv(*machine, prepared->facts);
    if (!argv) return give_up(argv.error());
    for (const auto &note : prepared->notes) report.note(note);
    const auto on_event = [&](std::string_view event, std::string_view detail) {
        if (event == "started") started("");
        report(event, detail);
    };
    auto code = supervise({*argv, folder->path(), *console, machine->timeout_s, !arguments.background, on_event});
    if (!code) return give_up(code.error());
    started("QEMU ended at once; `runvm run` with the same words shows what it says");
    if (*code == qemu_failed) report.note("QEMU failed; what it said is above");
    if (!arguments.report.empty())
        if (auto kept = keep_report(prepared->facts.xchg, arguments.report); !kept)
            report.note(std::format("no {}: {}", arguments.report, base::message(kept.error())));
    report("exit", std::to_string(*code));
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

int make_initrd(const Arguments &arguments) {
    auto machine = machine_of(arguments);
    if (!machine) return refuse(machine.error());
    auto boot = boot_of(*machine);
    if (!boot) return refuse(boot.error());
    auto initrd = initrd_of(*boot);
    if (!initrd) return refuse(initrd.error());
    auto done = arguments.output == "-" ? base::write_all(STDOUT_FILENO, initrd->bytes, "stdout")
                                        : base::replace_file(arguments.output, initrd->bytes);
    return done ? 0 : refuse(done.error());
}

int print_config(const Arguments &arguments) {
    auto layers = layers_of(arguments);
    if (!layers) return refuse(layers.error());
    auto text = describe(*layers);
    if (!text) return refuse(text.error());
    std::print("{}", *text);
    return 0;
}

}  // namespace

void add_run_commands(CLI::App &app, int &status) {
    const auto add = [&](const char *name, const char *help, const std::function<int(const Arguments &)> &body) {
        auto arguments = std::make_shared<Arguments>();
        CLI::App *command = app.add_subcommand(name, help);
        add_description_flags(*command, arguments);
        command->callback([&status, arguments, body] { status = body(*arguments); });
        return std::pair{command, arguments};
    };
    auto [run, run_arguments] = add("run", "start a machine and stay with it",
                                    [](const Arguments &a) { return run_machine(a, [](const std::string &) {}); });
    auto [start, start_arguments] =
        add("start", "start a machine in the background", [](const Arguments &a) { return start_machine(a); });
    start_arguments->background = true;
    for (const auto &[command, arguments] : {std::pair{run, run_arguments}, {start, start_arguments}}) {
        command->add_flag("--fresh", arguments->fresh, "put the root disk aside and start with a new one");
        command->add_option("--report", arguments->report, "what stage 1 did, step by step, as JSON, is left there")
            ->type_name("FILE");
        command->add_flag("--notify-ready", arguments->notify_ready, "tell systemd (sd_notify) when the guest is ready");
    }
    run->add_flag("--print", run_arguments->print, "show QEMU's command, for pasting, and start nothing");
    run->add_flag("--json", run_arguments->json, "events as JSON lines on stderr");
    add("config", "show the description and where each value comes from", [](const Arguments &a) { return print_config(a); });
    auto [initrd, initrd_arguments] =
        add("initrd", "write the initrd of a machine", [](const Arguments &a) { return make_initrd(a); });
    initrd->add_option("-o,--output", initrd_arguments->output, "the file; - is stdout")->required();
    app.add_subcommand("schema", "print the JSON Schema of a description")->callback([&status] {
        std::print("{}", schema());
        status = 0;
    });
}

}  // namespace hostside

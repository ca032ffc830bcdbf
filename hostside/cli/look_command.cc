#include "hostside/cli/look_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <ctime>
#include <format>
#include <memory>

#include "hostside/base/exit_code.h"
#include "hostside/base/printable.h"
#include "hostside/base/run_names.h"
#include "hostside/base/unix_socket.h"
#include "hostside/cli/reporter.h"
#include "hostside/host/last_run.h"
#include "hostside/host/run_directory.h"
#include "mounts/base/at.h"
#include "mounts/base/json_text.h"

namespace hostside {

namespace {

using base::Result;

constexpr int not_running = 1;

// A machine that runs or ran.
struct Seen {
    std::string name, path;
    RunRecord record;
    long pid = 0;  // the launcher's PID; 0: not running
};

struct Looked {
    std::string name;
    bool json = false, all = false, names = false;
};

Result<std::vector<Seen>> all_seen(bool past) {
    auto machines = running_machines();
    if (!machines) return std::unexpected(machines.error());
    std::vector<Seen> seen;
    for (const auto &m : *machines) seen.push_back({m.name, m.path, noted_run(m.path).value_or(RunRecord{}), m.holder});
    if (!past) return seen;
    for (auto &last : last_runs())
        if (std::ranges::none_of(*machines, [&](const Running &m) { return m.name == last.name; }))
            seen.push_back({std::move(last.name), "", std::move(last.record), 0});
    return seen;
}

Result<Seen> find_seen(const std::string &name) {
    keep_if_abandoned(name);
    auto seen = all_seen(false);
    if (!seen) return std::unexpected(seen.error());
    std::string others;
    for (auto &one : *seen) {
        if (one.name == name) return std::move(one);
        others += (others.empty() ? "" : ", ") + one.name;
    }
    auto last = last_run(name);
    if (last) return Seen{name, "", std::move(*last), 0};
    return base::fail(
        0, "find machine", name,
        others.empty() ? "no machine is running, and no run of this name was kept" : "not running; running machines: " + others);
}

int64_t now_s() { return ::time(nullptr); }

std::string uptime(const Seen &one) {
    if (one.record.started_s == 0) return "-";
    return duration((one.pid != 0 ? now_s() : one.record.ended_s) - one.record.started_s);
}

std::string state(const Seen &one) {
    if (one.pid != 0) return one.record.state.empty() ? "disk" : one.record.state;
    const std::string how(outcome(one.record));
    return one.record.exit_code > 0 ? std::format("{} ({})", how, one.record.exit_code) : how;
}

std::string json(const Seen &one) {
    const RunRecord &r = one.record;
    std::string text = std::format(R"({{"name":{},"running":{},"state":{},"memory_mib":{},"ports":{})", base::json_text(one.name),
                                   one.pid != 0, base::json_text(state(one)), r.memory_mib, base::json_text(r.ports));
    if (one.pid != 0) text += std::format(R"(,"pid":{})", one.pid);
    if (r.started_s != 0) text += std::format(R"(,"started":{})", r.started_s);
    if (one.pid == 0 && r.ended_s != 0) text += std::format(R"(,"ended":{})", r.ended_s);
    if (one.pid == 0 && r.exit_code >= 0) text += std::format(R"(,"exit":{})", r.exit_code);
    if (!r.cause.empty()) text += std::format(R"(,"cause":{})", base::json_text(r.cause));
    return text + "}";
}

int list(const Looked &how) {
    auto seen = all_seen(how.all);
    if (!seen) return refuse(seen.error());
    if (how.json) {
        std::string text;
        for (const auto &one : *seen) text += (text.empty() ? "" : ",\n ") + json(one);
        return print_result("[" + text + "]\n");
    }
    std::string text;
    size_t width = 4;
    for (const auto &one : *seen) width = std::max(width, one.name.size());
    if (!how.names && !seen->empty())
        text =
            std::format("{:<{}}  {:<22}  {:>8}  {:>10}  {:>8}  {}\n", "NAME", width, "STATE", "UPTIME", "MEMORY", "PID", "PORTS");
    for (const auto &one : *seen) {
        const std::string name = printable(one.name);
        if (how.names)
            text += name + "\n";
        else
            text += std::format("{:<{}}  {:<22}  {:>8}  {:>6} MiB  {:>8}  {}\n", name, width, state(one), uptime(one),
                                one.record.memory_mib, one.pid == 0 ? "-" : std::to_string(one.pid),
                                one.record.ports.empty() ? "-" : one.record.ports);
    }
    return print_result(text);
}

// QEMU's own term: running, paused, …
std::string qemu_state(const Seen &one) {
    auto answer = qmp(one.path + "/" + std::string(qmp_socket), R"({"execute":"query-status"})");
    constexpr std::string_view key = "\"status\": \"";
    const size_t at = answer ? answer->find(key) : std::string::npos;
    if (at == std::string::npos) return "not answering";
    return printable(answer->substr(at + key.size(), answer->find('"', at + key.size()) - at - key.size()));
}

int status_of(const Looked &how) {
    auto one = find_seen(how.name);
    if (!one) return refuse(one.error());
    const std::string text = how.json ? json(*one)
                             : one->pid == 0
                                 ? std::format("{}: {}", printable(one->name), how_it_ended(one->record, now_s()))
                                 : std::format("{}: {}, pid {}, at: {}, up {}, {} MiB{}", printable(one->name), qemu_state(*one),
                                               one->pid, state(*one), uptime(*one), one->record.memory_mib,
                                               one->record.ports.empty() ? "" : ", ports " + one->record.ports);
    const int printed = print_result(text + "\n");
    return printed == 0 && one->pid == 0 ? not_running : printed;
}

Result<std::string> console_of(const Seen &one) {
    if (one.pid == 0) return last_console(one.name);
    constexpr size_t limit_bytes = size_t{16} << 20;  // more than the launcher writes (console_log.h)
    std::string all;
    for (const std::string_view part : {console_log_before, console_log}) {
        const std::string path = one.path + "/" + std::string(part);
        auto log = base::open_at(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW);
        if (!log && log.error().code == ENOENT) continue;  // nothing was printed yet, or too little for two files
        if (!log) return std::unexpected(log.error());
        auto text = base::read_all(log->get(), path, limit_bytes);
        if (!text) return text;
        all += *text;
    }
    return all;
}

int logs(const Looked &how) {
    auto one = find_seen(how.name);
    if (!one) return refuse(one.error());
    auto text = console_of(*one);
    if (!text) return refuse(text.error());
    // A terminal would interpret the guest's control characters. Files and pipes get the text unchanged.
    const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    if (auto wrote = base::write_all(STDOUT_FILENO, terminal ? printable_lines(*text) : *text, "stdout"); !wrote)
        return refuse(wrote.error());
    if (one->pid == 0) say(std::format("{}: {}", one->name, how_it_ended(one->record, now_s())));
    return 0;
}

}  // namespace

void add_look_commands(CLI::App &app, int &status) {
    const auto add = [&](const char *verb, const char *help, int (*body)(const Looked &)) {
        auto how = std::make_shared<Looked>();
        CLI::App *command = app.add_subcommand(verb, help);
        command->callback([&status, how, body] { status = body(*how); });
        return std::pair{command, how};
    };
    const auto named = [&](const char *verb, const char *help, int (*body)(const Looked &)) {
        auto [command, how] = add(verb, help, body);
        command->add_option("name", how->name, "a machine that runs or ran")->required();
        return std::pair{command, how};
    };
    auto [list_command, list_how] = add("list", "list the running machines", list);
    list_command->add_flag("--all", list_how->all, "also show the last run of each other name");
    list_command->add_flag("--names", list_how->names, "show only names, one per line");
    list_command->add_flag("--json", list_how->json, "show a JSON list");
    auto [status_command, status_how] = named("status", "show the state of a machine, or how its last run ended", status_of);
    status_command->add_flag("--json", status_how->json, "show a JSON object");
    named("logs", "print what a machine, or its last run, wrote to the console", logs);
}

}  // namespace hostside

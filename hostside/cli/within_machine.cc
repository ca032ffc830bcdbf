#include "hostside/cli/within_machine.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <format>
#include <optional>
#include <thread>
#include <utility>

#include "hostside/base/exit_code.h"
#include "hostside/base/printable.h"
#include "hostside/boot/boot_files.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/own_machine.h"
#include "hostside/cli/reporter.h"

namespace hostside {

namespace {

using base::Result;
using mounts::exec::End;

bool is_unit(const std::string &text) {
    constexpr std::array<std::string_view, 11> kinds{".target", ".service",   ".socket", ".mount", ".timer", ".path",
                                                     ".device", ".automount", ".swap",   ".slice", ".scope"};
    return text.find_first_of(" /\t") == std::string::npos &&
           std::ranges::any_of(kinds, [&](std::string_view kind) { return text.ends_with(kind); });
}

}  // namespace

// NixOS has a link to its systemd there. A system with systemd as its init has prepare-root.
std::string default_target(const Machine &machine) {
    const std::string system = machine.toplevel.empty() ? "" : in_store(machine.store, machine.toplevel);
    for (const char *name : {"/systemd", "/prepare-root"})
        if (!system.empty() && ::access(in_store(machine.store, system + name).c_str(), F_OK) == 0) return "multi-user.target";
    return "";
}

CLI::Option *add_after(CLI::App &command, std::string &after) {
    return command
        .add_option("--after", after,
                    "first wait for a systemd unit, or until a command succeeds in the guest; default in a machine that is "
                    "booted for this, if it has systemd: multi-user.target")
        ->type_name("UNIT|COMMAND");
}

Result<> wait_until(const ExecWish &machine, const std::string &after) {
    if (after.empty()) return {};
    ExecWish wish{.machine = machine.machine,
                  .run_directory = machine.run_directory,
                  .patience_s = machine.patience_s,
                  .interrupted = machine.interrupted};
    wish.streams.errors = STDERR_FILENO;
    if (is_unit(after))
        wish.request.task = "wait-for " + after;
    else
        wish.request.argv = {"sh", "-c", after};
    constexpr auto pause = std::chrono::milliseconds(300), long_wait = std::chrono::milliseconds(10'000);
    constexpr int no_such_program = 127;
    auto say_after = std::optional(std::chrono::steady_clock::now() + long_wait);
    for (;; std::this_thread::sleep_for(pause)) {
        auto end = run_in_guest(wish);
        if (!end) return std::unexpected(end.error());
        if (end->kind == End::exited && end->code == 0) return {};
        if (end->kind == End::signalled && machine.interrupted != nullptr) *machine.interrupted = end->code;
        if (end->kind == End::signalled) return base::fail(0, "wait for", after, "interrupted");
        // Before activation, the system may have no shell.
        const bool no_shell = end->kind == End::failed && end->code == no_such_program && !is_unit(after);
        if (end->kind == End::failed && !no_shell) return base::fail(0, "wait for", after, end->text);
        if (is_unit(after))
            return base::fail(0, "wait for", after,
                              "the unit was not reached, see above; pass another unit to --after, or --after ''");
        if (!say_after || std::chrono::steady_clock::now() < *say_after) continue;
        say_after.reset();
        say(std::format("still waiting for '{}': {}", printable(after),
                        no_shell ? "the guest has no sh yet; if it never has one, pass a unit to --after, or --after ''"
                                 : std::format("it exits with {} in the guest", end->code)));
    }
}

int work_within(const Arguments &arguments, const std::optional<std::string> &after,
                const std::function<Result<int>(const ExecWish &machine)> &work) {
    auto described = machine_of(arguments);
    if (!described) return refuse(described.error());
    Arguments quietly = arguments;
    quietly.quiet = arguments.quiet || !arguments.from.empty();  // no report: the caller ends the machine
    auto machine = OwnMachine::boot(std::move(quietly));
    if (!machine) return machine.error();
    int interrupted = 0;
    const ExecWish wish{
        .machine = machine->name(), .run_directory = machine->run_directory(), .patience_s = -1, .interrupted = &interrupted};
    const bool was_ready = !arguments.from.empty() && described->snapshot_point == "ready";
    const std::string target = was_ready ? "" : default_target(*described);
    const auto status = wait_until(wish, after.value_or(target)).and_then([&] { return work(wish); });
    // Nothing has begun in the guest, so it needs no clean shutdown, and may not be able to do one yet.
    if (interrupted != 0) return signal_base + interrupted;
    if (status) {
        constexpr int patience_s = 30;
        // A fork's disk changes are discarded, so it needs no clean shutdown.
        if (arguments.from.empty()) (void)machine->power_off(patience_s);
        return *status;
    }
    say(base::message(status.error()));
    // If the machine ended, its launcher knows the reason better.
    if (!status.error().hint.contains("machine ended")) return launcher_error;
    const int code = machine->wait();
    return code == 0 ? static_cast<int>(launcher_error) : code;
}

}  // namespace hostside

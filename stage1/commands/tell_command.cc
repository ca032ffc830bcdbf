#include "stage1/commands/tell_command.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <format>
#include <memory>
#include <optional>
#include <ranges>
#include <string_view>
#include <thread>

#include "mounts/base/log.h"
#include "mounts/base/process.h"
#include "stage1/base/tell_host.h"

namespace stage1 {

namespace {

constexpr int largest_status = 255;  // of a process

// Units speak at the same moment, each for an instant, and the port is one process's at a time.
int tell(const std::string &line) {
    constexpr int tries = 100;
    constexpr std::chrono::milliseconds pause{100};
    auto told = tell_host(line);
    for (int i = 1; i < tries && !told && told.error().code == EBUSY; ++i) {
        std::this_thread::sleep_for(pause);
        told = tell_host(line);
    }
    if (!told) base::log(told.error());
    return told ? 0 : 1;
}

// systemd's emergency mode does not say why it was entered. Units that only depended on a failed unit are not in this list.
std::string failed_units() {
    const auto listed =
        base::run({.argv = {"systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full"},
                   .capture_output = true});
    if (!listed) return base::message(listed.error());
    std::string units;
    for (const auto line : std::views::split(listed->output, '\n'))
        if (const std::string_view unit = std::string_view(line).substr(0, std::string_view(line).find(' ')); !unit.empty())
            units.append(units.empty() ? "" : " ").append(unit);
    return units.empty() ? "no unit, so a device did not come, or a person asked for it" : units;
}

std::string_view of_environment(const char *name) {
    const char *const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

// How the service fared whose ExecStopPost= we are (systemd.exec(5)). What was killed, or never began, has no number.
std::optional<int> status_of_service() {
    const std::string_view result = of_environment("SERVICE_RESULT"), number = of_environment("EXIT_STATUS");
    if (result.empty()) return std::nullopt;
    int status = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), status);
    const bool is_number = error == std::errc{} && end == number.data() + number.size();
    if (is_number && status >= 0 && status <= largest_status) return status;
    return result == "success" ? 0 : largest_status;
}

// A status that nobody could say would be a success.
int tell_exit(std::optional<int> code) {
    if (!code) code = status_of_service();
    if (code) return tell(std::format("exit {}", *code));
    base::log(
        base::Error{"tell exit", "", 0, "give a CODE; without one it says how the service fared whose ExecStopPost= it is"});
    return 1;
}

}  // namespace

void add_tell_command(CLI::App &app, int &status) {
    CLI::App *command = app.add_subcommand("tell", "tell the launcher how the running system fares");
    command->require_subcommand(1);
    command->add_subcommand("ready", "what it was started for is up")->callback([&status] { status = tell("ready"); });
    command->add_subcommand("failed", "systemd's emergency mode is reached in the initrd; the units that failed are named")
        ->callback([&status] { status = tell("stage1-failed systemd's emergency mode; failed: " + failed_units()); });
    auto code = std::make_shared<std::optional<int>>();
    CLI::App *exit = command->add_subcommand("exit", "the launcher's exit status will be CODE; the machine runs on");
    exit->add_option("CODE", *code, "without it: as the service fared whose ExecStopPost= this is")
        ->check(CLI::Range(0, largest_status));
    exit->callback([&status, code] { status = tell_exit(*code); });
}

}  // namespace stage1

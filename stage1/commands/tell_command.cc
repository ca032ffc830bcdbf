#include "stage1/commands/tell_command.h"

#include <CLI/CLI.hpp>
#include <format>
#include <memory>
#include <ranges>
#include <string_view>

#include "mounts/base/log.h"
#include "mounts/base/process.h"
#include "stage1/base/tell_host.h"

namespace stage1 {

namespace {

int tell(const std::string &line) {
    const auto told = tell_host(line);
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

}  // namespace

void add_tell_command(CLI::App &app, int &status) {
    CLI::App *command = app.add_subcommand("tell", "tell the launcher how the running system fares");
    command->require_subcommand(1);
    command->add_subcommand("ready", "what it was started for is up")->callback([&status] { status = tell("ready"); });
    command->add_subcommand("failed", "systemd's emergency mode is reached in the initrd; the units that failed are named")
        ->callback([&status] { status = tell("stage1-failed systemd's emergency mode; failed: " + failed_units()); });
    auto code = std::make_shared<int>(0);
    CLI::App *exit = command->add_subcommand("exit", "the launcher's exit status will be CODE; the machine runs on");
    constexpr int largest = 255;  // the largest exit code of a process
    exit->add_option("CODE", *code)->required()->check(CLI::Range(0, largest));
    exit->callback([&status, code] { status = tell(std::format("exit {}", *code)); });
}

}  // namespace stage1

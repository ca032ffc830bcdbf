#include "stage1/commands/tell_command.h"

#include <CLI/CLI.hpp>
#include <format>
#include <memory>

#include "mounts/base/log.h"
#include "stage1/base/status_port.h"

namespace stage1 {

namespace {

int tell(const std::string &line) {
    const auto told = tell_host(line);
    if (!told) base::log(told.error());
    return told ? 0 : 1;
}

}  // namespace

void add_tell_command(CLI::App &app, int &status) {
    CLI::App *command = app.add_subcommand("tell", "tell the launcher how the running system fares");
    command->require_subcommand(1);
    command->add_subcommand("ready", "what it was started for is up")->callback([&status] { status = tell("ready"); });
    auto code = std::make_shared<int>(0);
    CLI::App *exit = command->add_subcommand("exit", "the launcher's exit status will be CODE; the machine runs on");
    constexpr int largest = 255;  // of a process
    exit->add_option("CODE", *code)->required()->check(CLI::Range(0, largest));
    exit->callback([&status, code] { status = tell(std::format("exit {}", *code)); });
}

}  // namespace stage1

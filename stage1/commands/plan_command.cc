#include "stage1/commands/plan_command.h"

#include <CLI/CLI.hpp>
#include <format>
#include <memory>
#include <print>

#include "mounts/base/at.h"
#include "mounts/base/json_text.h"
#include "mounts/base/log.h"
#include "mounts/protocol.h"
#include "stage1/base/boot_input.h"

namespace stage1 {

namespace {

struct PlanOptions {
    std::string command_line, fstab_path;
    std::string target_root{mounts::protocol::default_target_root};
    uint64_t memory_mib = 1024;
    bool json = false;
};

void print_text(const std::vector<mounts::Phase> &phases) {
    for (const auto &phase : phases) {
        std::println("{}:", phase.name());
        for (const auto &step : phase.steps) std::println("  {}", describe(step));
    }
}

void print_json(const std::vector<mounts::Phase> &phases) {
    std::string text = "[";
    for (const auto &phase : phases) {
        text += &phase == phases.data() ? "\n" : ",\n";
        text += std::format(" {{\"phase\": {}, \"steps\": [", base::json_text(phase.name()));
        for (const auto &step : phase.steps) {
            text += &step == phase.steps.data() ? "\n" : ",\n";
            text += std::format("  {{\"step\": {}, \"text\": {}}}", base::json_text(kind(step)), base::json_text(describe(step)));
        }
        text += "\n ]}";
    }
    std::println("{}\n]", text);
}

base::Result<std::vector<mounts::Phase>> plan(const PlanOptions &options) {
    BootSources sources{.command_line = options.command_line, .memory_bytes = options.memory_mib << 20};
    if (!options.fstab_path.empty()) {
        auto text = base::read_file(options.fstab_path, size_t{1} << 20);
        if (!text) return std::unexpected(text.error());
        sources.fstab = std::move(*text);
    }
    auto input = boot_input(sources, options.target_root);
    if (!input) return std::unexpected(input.error());
    return plan_boot(*input);
}

}  // namespace

void add_plan_command(CLI::App &app, int &status) {
    auto options = std::make_shared<PlanOptions>();
    CLI::App *command = app.add_subcommand("plan", "print what init would do for a command line and an fstab, without doing it");
    command->add_option("--cmdline", options->command_line, "the kernel command line")->required();
    command->add_option("--fstab", options->fstab_path, "an fstab(5) file instead of the built-in file systems");
    command->add_option("--target-root", options->target_root, "where the root would be mounted")->capture_default_str();
    command->add_option("--memory", options->memory_mib, "the machine's memory in MiB")->capture_default_str();
    command->add_flag("--json", options->json, "print JSON");
    command->callback([&status, options] {
        const auto phases = plan(*options);
        if (!phases)
            base::log(phases.error());
        else if (options->json)
            print_json(*phases);
        else
            print_text(*phases);
        status = phases ? 0 : 1;
    });
}

}  // namespace stage1

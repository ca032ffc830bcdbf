#include "hostside/cli/export_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "hostside/base/printable.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/reporter.h"
#include "hostside/launch/systemd_unit.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

namespace fs = std::filesystem;

int write_unit(const Arguments &arguments) {
    const auto machine = machine_of(arguments);
    if (!machine) return refuse(machine.error());
    const std::string directory = fs::current_path();
    // A line of its own each; a name of a machine that runs has none either.
    for (const auto &text : {directory, machine->name})
        if (text.empty() || printable(text) != text)
            return refuse({"export", text, 0, "a unit has no control characters in this"});
    UnitWish wish{.name = machine->name,
                  .words = {fs::read_symlink("/proc/self/exe"), "run"},
                  .directory = directory,
                  .notify_ready = arguments.notify_ready};
    if (arguments.notify_ready) wish.words.emplace_back("--notify-ready");
    for (auto &word : description_words(arguments)) wish.words.push_back(std::move(word));
    if (!arguments.extra.empty()) wish.words.emplace_back("--");
    wish.words.insert(wish.words.end(), arguments.extra.begin(), arguments.extra.end());
    const std::string unit = systemd_unit(wish);
    const auto done = arguments.output.empty() || arguments.output == "-" ? base::write_all(STDOUT_FILENO, unit, "stdout")
                                                                          : base::replace_file(arguments.output, unit);
    return done ? 0 : refuse(done.error());
}

}  // namespace

void add_export_command(CLI::App &app, int &status) {
    auto arguments = std::make_shared<Arguments>();
    auto format = std::make_shared<std::string>();
    CLI::App *command = app.add_subcommand("export", "write a unit of systemd's that runs a machine");
    add_description_flags(*command, *arguments);
    command->add_option("--format", *format, "whose file; systemd is the one that there is")
        ->type_name("systemd")
        ->check(CLI::IsMember({"systemd"}).description(""));
    command->add_flag("--notify-ready", arguments->notify_ready, "the unit has started when the guest says that it is ready");
    command
        ->add_option("-o,--output", arguments->output,
                     "the file, as /etc/systemd/system/NAME.service; without it, standard output")
        ->type_name("FILE");
    command->callback([&status, arguments] { status = write_unit(*arguments); });
}

}  // namespace hostside

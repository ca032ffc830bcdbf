#include "hostside/cli/describe_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>

#include "hostside/base/exit_code.h"
#include "hostside/boot/boot_files.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/reporter.h"
#include "hostside/launch/prepare.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

int make_initrd(const Arguments &arguments) {
    auto machine = machine_of(arguments);
    if (!machine) return refuse(machine.error());
    auto initrd = arguments.complete ? complete_initrd(*machine) : boot_of(*machine).and_then(initrd_of);
    if (!initrd) return refuse(initrd.error());
    auto done = arguments.output == "-" ? base::write_all(STDOUT_FILENO, *initrd, "stdout")
                                        : base::replace_file(arguments.output, *initrd);
    return done ? 0 : refuse(done.error());
}

int print_config(const Arguments &arguments) {
    auto layers = layers_of(arguments);
    if (!layers) return refuse(layers.error());
    auto text = arguments.json ? describe_json(*layers) : describe(*layers);
    if (!text) return refuse(text.error());
    return print_result(*text);
}

}  // namespace

void add_describe_commands(CLI::App &app, int &status) {
    const auto add = [&](const char *name, const char *help, const std::function<int(const Arguments &)> &body) {
        auto arguments = std::make_shared<Arguments>();
        CLI::App *command = app.add_subcommand(name, help);
        add_description_flags(*command, *arguments);
        command->callback([&status, arguments, body] { status = body(*arguments); });
        return std::pair{command, arguments};
    };
    auto [config, values] = add("config", "show the description and where each value comes from", print_config);
    config->add_flag("--json", values->json, "print one JSON description, for --config");
    auto [initrd, arguments] = add("initrd", "write a machine's initrd", make_initrd);
    initrd->add_flag("--complete", arguments->complete,
                     "as `runvm run` boots it: with the registration and the parameters that the command line cannot hold");
    initrd->add_option("-o,--output", arguments->output, "the file to write; - is standard output")
        ->type_name("FILE")
        ->required();
    app.add_subcommand("schema", "print the JSON Schema of a description")->callback([&status] {
        status = print_result(schema());
    });
}

}  // namespace hostside

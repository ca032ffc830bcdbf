#include "stage1/register.h"

#include <memory>
#include <print>

#include "mounts/base/log.h"
#include "mounts/protocol.h"
#include "stage1/boot_input.h"
#include "stage1/load_db.h"

namespace stage1 {

namespace {

struct RegisterOptions {
    std::string target_root{mounts::protocol::default_target_root};
    std::string reginfo;
};

base::Result<std::string> load(const RegisterOptions &options) {
    auto sources = read_boot_sources();
    if (!sources) return std::unexpected(sources.error());
    auto input = boot_input(*sources, options.target_root);
    if (!input) return std::unexpected(input.error());
    const std::string &reginfo = options.reginfo.empty() ? input->parameters.reginfo : options.reginfo;
    const std::string &init = input->parameters.init;
    if (reginfo.empty())
        return base::fail(0, "register", options.target_root,
                          "no registration: give --reginfo FILE or regInfo= on the command line");
    return load_db({options.target_root, reginfo, init.substr(0, init.rfind('/'))});
}

}  // namespace

void add_register_command(CLI::App &app, int &status) {
    auto options = std::make_shared<RegisterOptions>();
    CLI::App *command = app.add_subcommand("register", "load the closure's registration into the target root's Nix database");
    command->add_option("--target-root", options->target_root, "the mounted root")->capture_default_str();
    command->add_option("--reginfo", options->reginfo,
                        "the registration, a path in the target root (default: regInfo= of the command line)");
    command->callback([&status, options] {
        const auto line = load(*options);
        if (line)
            std::println("{}", *line);
        else
            base::log(line.error());
        status = line ? 0 : 1;
    });
}

}  // namespace stage1

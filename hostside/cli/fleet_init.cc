#include "hostside/cli/fleet_init.h"

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>
#include <format>
#include <memory>
#include <string>

#include "hostside/base/exists.h"
#include "hostside/cli/reporter.h"
#include "hostside/fleet/example.h"
#include "mounts/base/at.h"
#include "mounts/base/json_text.h"

namespace hostside {

namespace {

namespace fs = std::filesystem;

struct FleetInitWish {
    std::string system = "./result", config, output = "fleet.json";
};

int write_example(const FleetInitWish &wish) {
    std::string defaults;
    if (!wish.config.empty()) {
        if (!exists(wish.config)) return refuse({"read", wish.config, errno, ""});
        defaults = base::json_text(fs::absolute(wish.config).lexically_normal().string());
    } else {
        if (!exists(wish.system + "/init"))
            return refuse({"find system", wish.system, errno,
                           "the example's machines need a system to boot; make one with nix-build, or name another: runvm fleet "
                           "init SYSTEM"});
        defaults = std::format(R"({{ "toplevel": {} }})", base::json_text(fs::absolute(wish.system).lexically_normal().string()));
    }
    auto file = base::open_at(AT_FDCWD, wish.output, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (!file) return refuse({"create", wish.output, file.error().code, "name another file with -o"});
    if (auto wrote = base::write_all(file->get(), example_fleet(defaults), wish.output); !wrote) return refuse(wrote.error());
    say(std::format("{} has four kinds of machines; to run them: runvm fleet {}", wish.output, wish.output));
    return 0;
}

}  // namespace

void add_fleet_init_command(CLI::App &fleet, int &status) {
    auto example = std::make_shared<FleetInitWish>();
    CLI::App *write = fleet.add_subcommand("init", "write an example of a working fleet");
    write->add_option("system", example->system, "the NixOS system of its machines; default: ./result")->type_name("DIR");
    write->add_option("--config", example->config, "the description of its machines, instead of a system")->type_name("FILE");
    write->add_option("-o,--output", example->output, "the file to write; default: fleet.json")->type_name("FILE");
    write->callback([&status, example] { status = write_example(*example); });
}

}  // namespace hostside

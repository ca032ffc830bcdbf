// stage1: the program in the initrd. Its name (init, unionfs, modprobe) or its first argument selects its job.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <exception>
#include <string_view>

#include "mounts/base/log.h"
#include "stage1/commands/agent_command.h"
#include "stage1/commands/devices_command.h"
#include "stage1/commands/generator.h"
#include "stage1/commands/mounts_command.h"
#include "stage1/commands/plan_command.h"
#include "stage1/commands/register_command.h"
#include "stage1/commands/tell_command.h"
#include "stage1/commands/union_command.h"
#include "stage1/init/crash.h"
#include "stage1/init/init.h"
#include "stage1/modules/load.h"
#include "unionfs/command/command.h"

namespace {

// The arguments after the program's name, if its name or the first argument selects the union; null otherwise.
char **union_words(int argc, char **argv) {
    std::string_view name(argv[0]);
    if (name.starts_with('@')) name.remove_prefix(1);  // the mark of a process that systemd must not kill
    name.remove_prefix(name.rfind('/') + 1);
    if (name == "unionfs" || name == "mount.fuse.unionfs") return argv;
    return argc > 1 && std::string_view(argv[1]) == "unionfs" ? argv + 1 : nullptr;
}

int command_line(int argc, char **argv) {
    if (char **words = union_words(argc, argv)) return unionfs::command_main(argc - static_cast<int>(words - argv), words);
    if (argc > 2 && std::string_view(argv[1]) == "union" && std::string_view(argv[2]) == "diff")
        return unionfs::diff_main(argc - 2, argv + 2);
    if (argc > 2 && std::string_view(argv[1]) == "union" && std::string_view(argv[2]) == "apply")
        return unionfs::apply_main(argc - 2, argv + 2);
    CLI::App app{"Stage 1 of a NixOS virtual machine: devices, mounts, registration, switch_root.", "stage1"};
    app.set_version_flag("--version", "stage1 " STAGE1_VERSION);
    app.require_subcommand(1);
    int status = 0;
    stage1::add_devices_command(app, status);
    stage1::add_mounts_command(app, status);
    stage1::add_register_command(app, status);
    stage1::add_plan_command(app, status);
    stage1::add_tell_command(app, status);
    stage1::add_agent_command(app, status);
    stage1::add_union_command(app, status);
    app.add_subcommand("init", "run as PID 1: all of stage 1, up to the exec of stage 2")->callback([] {
        throw CLI::ValidationError("init", "only PID 1 can be init; 'stage1 plan' shows what it would do");
    });
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        // CLI11 has many exit codes. stage1 has three: 0 success, 1 failure, 2 a bad command line.
        return app.exit(error) == 0 ? 0 : 2;
    }
    return status;
}

// The kernel starts /init, or the program of rdinit=, with the parameters that it does not know, so no argument says that we
// are init. But one of stage1's own commands says that we are not: in a container every program is PID 1.
bool is_init(int argc, char **argv, std::string_view name) {
    if (::getpid() != 1) return false;
    if (name == "init") return true;
    constexpr std::array<std::string_view, 9> others{"devices", "mounts",  "register", "plan",     "tell",
                                                     "agent",   "unionfs", "union",    "--version"};
    return union_words(argc, argv) == nullptr && name != "modprobe" && (argc < 2 || !std::ranges::contains(others, argv[1]));
}

[[noreturn]] void be_init(int argc, char **argv) {
    stage1::catch_crashes();
    try {
        if (argc > 2 && argv[1] == stage1::crashed_word) stage1::crashed(argv[2]);
        stage1::init();
    } catch (const std::exception &error) {
        stage1::start_anew(error.what());
    } catch (...) {
        stage1::start_anew("an exception without a name");
    }
}

}  // namespace

int main(int argc, char **argv) {
    if (argc < 1) return 2;
    // The kernel starts stage1 as /sbin/modprobe.
    const std::string_view name = std::string_view(argv[0]).substr(std::string_view(argv[0]).rfind('/') + 1);
    if (is_init(argc, argv, name)) be_init(argc, argv);
    try {
        if (name == "modprobe") return stage1::modprobe(argc, argv);
        if (name == "stage1-generator") return stage1::generator_main(argc, argv);
        return command_line(argc, argv);
    } catch (const std::exception &error) {
        base::log(base::Priority::error, std::string("stage1: a bug, please report it: ") + error.what());
        return 70;
    }
}

#include "hostside/cli/in_vm_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <format>
#include <memory>
#include <utility>

#include "hostside/base/exit_code.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/command_words.h"
#include "hostside/cli/own_machine.h"
#include "hostside/cli/reporter.h"
#include "hostside/exec/client.h"
#include "hostside/host/image.h"
#include "hostside/qemu/program.h"
#include "mounts/base/at.h"
#include "mounts/base/json_text.h"
#include "mounts/base/process.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

struct InVm {
    Arguments machine;
    CommandWords command;
    std::vector<std::string> disks;
    std::string before, after;
};

// As its flag would; `unless_given` leaves what the user said.
void set(Arguments &arguments, std::string_view key, std::string value, bool unless_given = true) {
    const auto flag = std::ranges::find(arguments.flags, key, [](const Flag &f) { return std::string_view(f.key.path); });
    if (flag != arguments.flags.end() && (!unless_given || flag->values.empty())) flag->values.push_back(std::move(value));
}

struct DiskWord {
    std::string file;
    int mib = 0;  // 0: it must be there
};

Result<DiskWord> disk_of(const std::string &word) {
    const size_t comma = word.rfind(',');
    if (comma == std::string::npos || ::access(word.c_str(), F_OK) == 0) return DiskWord{word};
    std::string_view size = std::string_view(word).substr(comma + 1);
    int factor = 1;
    if (size.ends_with('G')) factor = 1024;
    if (size.ends_with('G') || size.ends_with('M')) size.remove_suffix(1);
    int number = 0;
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), number);
    constexpr int most = 64 << 10;  // of either unit
    if (error != std::errc{} || end != size.data() + size.size() || number < 1 || number > most)
        return fail(0, "add disk", word, "expected FILE or FILE,SIZE with a size as 512, 512M or 2G");
    return DiskWord{word.substr(0, comma), number * factor};
}

Result<std::vector<DiskWord>> disks_of(const InVm &arguments) {
    std::vector<DiskWord> disks;
    for (const auto &word : arguments.disks) {
        auto disk = disk_of(word);
        if (!disk) return std::unexpected(disk.error());
        // The hook before may make one.
        if (disk->mib == 0 && arguments.before.empty() && ::access(disk->file.c_str(), F_OK) < 0)
            return fail(errno, "add disk", disk->file, "with a size, --disk FILE,SIZE, it is created");
        disks.push_back(std::move(*disk));
    }
    return disks;
}

// An absent one is created.
Result<> add_disks(InVm &arguments, const std::vector<DiskWord> &disks, const std::string &qemu) {
    for (const auto &disk : disks) {
        if (disk.mib > 0)
            if (auto made = ensure_image(qemu, disk.file, disk.mib); !made) return std::unexpected(made.error());
        // By what the user says, never by the content, which a guest may have written.
        const std::string_view format = disk.mib > 0 || disk.file.ends_with(".qcow2") ? "qcow2" : "raw";
        set(arguments.machine, "drives", std::format(R"({{"file":{},"format":"{}"}})", base::json_text(disk.file), format),
            false);
    }
    return {};
}

// A line of a shell's here.
Result<> run_hook(const std::string &line, std::string_view flag) {
    if (line.empty()) return {};
    // Standard output is the command's alone.
    auto exit = base::run({.argv = {"/bin/sh", "-c", "exec >&2\n" + line}});
    if (!exit) return std::unexpected(exit.error());
    return exit->status == 0 ? Result<>() : fail(0, "run", flag, std::format("it ended with status {}", exit->status));
}

// Where the command's status is left for others, as vmTools has it: in the xchg that outlives the machine. The guest, which is no
// more, could have put anything there.
Result<> leave_status(int status) {
    const char *temporary = std::getenv("TMPDIR");
    const char *use = std::getenv("USE_TMPDIR");
    if (temporary == nullptr || use == nullptr || *temporary == '\0' || *use == '\0') return {};
    const std::string path = std::string(temporary) + "/xchg", name = "in-vm-exit";
    auto directory = base::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    if (!directory) return std::unexpected(directory.error());
    if (::unlinkat(directory->get(), name.c_str(), 0) < 0 && errno != ENOENT) return fail(errno, "remove", path + "/" + name);
    auto file = base::open_at(directory->get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    return file ? base::write_all(file->get(), std::format("{}\n", status), name) : std::unexpected(file.error());
}

// What makes the machine one of a single command: no stage 2, so nothing that only that needs.
void describe(InVm &arguments) {
    Arguments &machine = arguments.machine;
    set(machine, "kernelParams", std::format("{}=only", mounts::protocol::agent_parameter), false);
    set(machine, "diskImage", "");
    set(machine, "writableStore", "false");
    set(machine, "regInfo", "/dev/null");
    const bool system =
        !machine.system.empty() || !machine.config.empty() ||
        std::ranges::any_of(machine.flags, [](const Flag &f) { return f.key.path == "toplevel" && !f.values.empty(); });
    if (!system) set(machine, "init", "/none");
}

int run_in(const ExecWish &wish, OwnMachine &machine) {
    const auto end = run_in_guest(wish);
    if (end) {
        const int status = status_of(*end);
        constexpr int patience_s = 30;
        (void)machine.power_off(patience_s);
        return status;
    }
    say(base::message(end.error()));
    if (!end.error().hint.contains("machine ended")) return launcher_error;
    const int code = machine.wait();
    return code == 0 ? static_cast<int>(launcher_error) : code;
}

int in_vm(InVm &arguments) {
    std::vector<std::string> command = std::exchange(arguments.machine.extra, {});
    if (command.empty())
        return refuse({"run", "", 0, "no command; it stands after --, as in: runvm in-vm SYSTEM -- mkfs.ext4 /dev/vda"});
    describe(arguments);
    auto described = machine_of(arguments.machine);
    if (!described) return refuse(described.error());
    auto qemu = find_qemu(described->qemu);
    if (!qemu) return refuse(qemu.error());
    auto disks = disks_of(arguments);
    if (!disks) return refuse(disks.error());
    if (auto done = run_hook(arguments.before, "--pre-vm"); !done) return refuse(done.error());
    if (auto done = add_disks(arguments, *disks, *qemu); !done) return refuse(done.error());
    auto machine = OwnMachine::boot(arguments.machine);
    if (!machine) return machine.error();
    const ExecWish wish{.machine = machine->name(),
                        .run_directory = machine->run_directory(),
                        .request = request_of(arguments.command, std::move(command)),
                        .streams = own_streams(),
                        .patience_s = -1};
    const int status = run_in(wish, *machine);
    if (auto left = leave_status(status); !left) return refuse(left.error());
    if (status != 0) return status;
    const auto done = run_hook(arguments.after, "--post-vm");
    return done ? 0 : refuse(done.error());
}

}  // namespace

void add_in_vm_command(CLI::App &app, int &status) {
    auto arguments = std::make_shared<InVm>();
    CLI::App *command = app.add_subcommand("in-vm", "run one command as a whole machine, without a stage 2");
    add_description_flags(*command, arguments->machine);
    add_command_options(*command, arguments->command);
    command
        ->add_option("--disk", arguments->disks,
                     "a disk of the machine, created when absent if a size is given; the first is /dev/vda")
        ->type_name("FILE[,SIZE]")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command->add_option("--pre-vm", arguments->before, "a shell's line for this host, before the machine starts")
        ->type_name("LINE");
    command->add_option("--post-vm", arguments->after, "the same after a command that succeeded")->type_name("LINE");
    command->callback([&status, arguments] { status = in_vm(*arguments); });
}

}  // namespace hostside

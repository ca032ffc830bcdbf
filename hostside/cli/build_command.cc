#include "hostside/cli/build_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>
#include <format>
#include <memory>
#include <optional>
#include <utility>

#include "hostside/boot/boot_files.h"
#include "hostside/build/build.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/lone_machine.h"
#include "hostside/cli/reporter.h"
#include "hostside/cli/within_machine.h"
#include "hostside/qemu/program.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

struct BuildArguments {
    Arguments machine;
    std::string derivation, out = ".", user, log, failed, after;
    std::vector<std::string> disks;
    uint64_t most_bytes = uint64_t{64} << 30;
    bool in_place = false, alone = false, after_given = false;
};

bool there(const std::string &path) {
    struct stat st{};
    return ::lstat(path.c_str(), &st) == 0;
}

Result<std::vector<std::string>> places_of(const BuildArguments &arguments, const Derivation &derivation) {
    std::vector<std::string> places;
    for (const auto &output : derivation.outputs) {
        places.push_back(arguments.in_place ? output.path : arguments.out + "/" + output.name);
        // In vmTools' mode, the preparation that runs on the host may make an output.
        const bool made_here = arguments.alone && arguments.in_place;
        if (!made_here && there(places.back()))
            return fail(EEXIST, "make output", places.back(), "runvm does not replace it; pass another directory with --out");
    }
    return places;
}

// Shows the guest the named inputs only, and nothing else of the host's store.
void show_inputs(BuildArguments &arguments, const BuildWish &wish, const std::string &store) {
    // Inside a Nix build there is no database, and the visible store is already the closure of the inputs.
    const std::string database = std::filesystem::path(store).parent_path() / "var/nix/db/db.sqlite";
    if (::access(database.c_str(), R_OK) < 0) return;
    for (const auto &path : store_paths_in(wish.derivation, wish.builder))
        if (::access(in_store(store, path).c_str(), F_OK) == 0) add_setting(arguments.machine, "pathsInNixDB", path);
}

Result<base::Fd> open_log(const std::string &path) {
    if (path.empty()) return base::Fd();
    return base::open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY, 0644);
}

// Checks everything that is known before the machine starts.
Result<BuildWish> wish_of(BuildArguments &arguments) {
    BuildWish wish{.builder = std::exchange(arguments.machine.extra, {}),
                   .user = arguments.user,
                   .made_here = arguments.alone && arguments.in_place,
                   .most_bytes = arguments.most_bytes};
    if (arguments.alone && wish.user.empty()) wish.user = "root";
    if (wish.builder.empty())
        return fail(0, "build", "",
                    "no builder given; put it and its arguments after --, as in: runvm build SYSTEM -- $builder $args");
    auto derivation = arguments.derivation.empty() ? derivation_of(environ) : derivation_in(arguments.derivation);
    if (!derivation) return std::unexpected(derivation.error());
    wish.derivation = std::move(*derivation);
    auto places = places_of(arguments, wish.derivation);
    if (!places) return std::unexpected(places.error());
    wish.places = std::move(*places);
    if (there(arguments.failed))
        return fail(EEXIST, "keep failed build", arguments.failed, "name a directory that does not exist");
    wish.failed_place = arguments.failed;
    if (arguments.alone) make_lone(arguments.machine, true);
    auto machine = machine_of(arguments.machine);
    if (!machine) return std::unexpected(machine.error());
    if (!machine->writable_store)
        return fail(0, "build", "", "a build needs a store that the guest can add to; pass --union tmpfs or --union disk");
    wish.cores = machine->cores;
    show_inputs(arguments, wish, machine->store);
    return wish;
}

Result<> add_the_disks(BuildArguments &arguments) {
    if (arguments.disks.empty()) return {};
    auto disks = disks_of(arguments.disks, false);
    if (!disks) return std::unexpected(disks.error());
    auto machine = machine_of(arguments.machine);
    if (!machine) return std::unexpected(machine.error());
    auto qemu = find_qemu(machine->qemu);
    return qemu ? add_disks(arguments.machine, *disks, *qemu) : std::unexpected(qemu.error());
}

int build(BuildArguments &arguments) {
    auto wish = wish_of(arguments);
    if (!wish) return refuse(wish.error());
    const auto log = open_log(arguments.log);
    if (!log) return refuse(log.error());
    wish->log = log->get();
    if (!arguments.in_place && ::mkdir(arguments.out.c_str(), 0777) < 0 && errno != EEXIST)
        return refuse({"mkdir", arguments.out, errno, ""});
    if (auto added = add_the_disks(arguments); !added) return refuse(added.error());
    const bool own_after = arguments.after_given || arguments.alone;
    const int status = work_within(arguments.machine, own_after ? std::optional(arguments.after) : std::nullopt,
                                   [&](const ExecWish &machine) { return build_in_guest(machine, *wish, say); });
    if (!arguments.alone) return status;
    const auto left = leave_status(status);
    return left ? status : refuse(left.error());
}

}  // namespace

void add_build_command(CLI::App &app, int &status) {
    auto arguments = std::make_shared<BuildArguments>();
    CLI::App *command = app.add_subcommand("build", "boot a machine and build a derivation in it");
    add_description_flags(*command, arguments->machine);
    command
        ->add_option("--derivation", arguments->derivation,
                     "the directory with the derivation's env-vars, or .attrs.json and .attrs.sh; default, in a Nix build: "
                     "runvm's own environment")
        ->type_name("DIR");
    command->add_option("--out", arguments->out, "the directory for the outputs, each under its name")
        ->type_name("DIR")
        ->capture_default_str();
    command->add_flag("--in-place", arguments->in_place, "put each output at its store path, as a Nix builder does");
    CLI::Option *after = add_after(*command, arguments->after);
    command->add_option("--user", arguments->user, "the guest's user that builds; default: nixbld1, as in Nix")
        ->type_name("NAME");
    command->add_flag("--alone", arguments->alone, "build as root and without stage 2, like in-vm");
    add_disk_option(*command, arguments->disks);
    command
        ->add_option("--max-output", arguments->most_bytes,
                     "maximum total size of the outputs, such as 500M or 2G; 0: all free space")
        ->type_name("SIZE")
        ->default_str("64G")
        ->transform(CLI::AsSizeValue(false).description(""));
    command->add_option("--log", arguments->log, "also write the builder's output to this file")->type_name("FILE");
    command->add_option("--keep-failed", arguments->failed, "keep the tree of a failed build in this new directory")
        ->type_name("DIR");
    command->callback([&status, arguments, after] {
        arguments->after_given = after->count() > 0;
        status = build(*arguments);
    });
}

}  // namespace hostside

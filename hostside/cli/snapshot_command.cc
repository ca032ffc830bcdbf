#include "hostside/cli/snapshot_command.h"

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <format>
#include <memory>
#include <optional>

#include "hostside/base/exists.h"
#include "hostside/base/exit_code.h"
#include "hostside/base/run_names.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/fork.h"
#include "hostside/cli/own_machine.h"
#include "hostside/cli/reporter.h"
#include "hostside/cli/within_machine.h"
#include "hostside/exec/client.h"
#include "hostside/host/run_directory.h"
#include "hostside/launch/prepare.h"
#include "hostside/snapshot/migration.h"
#include "hostside/snapshot/place.h"
#include "hostside/snapshot/savable.h"
#include "mounts/base/at.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::Result;
namespace fs = std::filesystem;

struct SnapshotWish {
    Arguments machine;
    std::string output, after;
    bool after_given = false, reuse = false;
};

// What is waited for, if nothing else, in a system without systemd.
constexpr std::string_view told_ready = "stage1 tell ready";

std::string awaited(const SnapshotWish &wish, const Machine &m) {
    if (wish.after_given || m.snapshot_point != "ready") return wish.after;
    std::string target = default_target(m);
    return target.empty() ? std::string(told_ready) : target;
}

// The description for forks: includes the environment and flags, so that a fork can be started anywhere.
Result<std::string> description_of(const Arguments &arguments, const std::string &store_kind) {
    auto layers = layers_of(arguments);
    if (!layers) return std::unexpected(layers.error());
    layers->push_back({"runvm snapshot", std::format(R"({{"storeKind":"{}"}})", store_kind), false});
    return describe_json(*layers).transform(
        [](const std::string &json) { return with_absolute_paths(json, fs::current_path().string()); });
}

// Waits until the machine can be saved; with an agent, where a fork needs one.
Result<> wait_until_there(const OwnMachine &machine, const Manifest &manifest) {
    if (manifest.point != "ready") return {};
    const ExecWish there{.machine = machine.name(), .run_directory = machine.run_directory(), .patience_s = -1};
    if (manifest.after != told_ready)
        if (auto waited = wait_until(there, manifest.after); !waited) return waited;
    // Checks that the agent answers, and writes out what each fork would write again.
    ExecWish asked = there;
    asked.request.task = "sync";
    asked.streams.signals = false;
    auto end = run_in_guest(asked);
    return end ? Result<>() : std::unexpected(end.error());
}

Result<> save(const OwnMachine &machine, NewSnapshot &snapshot) {
    auto state = base::open_at(AT_FDCWD, snapshot.part(snapshot_state), O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (!state) return std::unexpected(state.error());
    auto monitor = Monitor::connect(machine.run_directory() + "/" + std::string(qmp_socket));
    if (!monitor) return std::unexpected(monitor.error());
    if (auto saved = save_state(*monitor, state->get()); !saved) return saved;
    return snapshot.finish();
}

// Arguments for the launcher: the memory file to use, and the manifest to write before anything is done.
Arguments template_of(const SnapshotWish &wish, const Machine &m, const NewSnapshot &snapshot, Manifest manifest) {
    Arguments arguments = wish.machine;
    arguments.decided = m;
    arguments.quiet = true;
    arguments.fresh = false;
    arguments.memory_file = snapshot.part(snapshot_memory);
    arguments.check = [manifest = std::move(manifest), path = snapshot.part(snapshot_manifest)](const Machine &planned,
                                                                                                const HostFacts &host) mutable {
        manifest.traits = traits_of(planned, host);
        return base::replace_file(path, manifest_text(manifest), 0600);
    };
    // If we are killed, the launcher is told to end and cleans up.
    arguments.at_end = [path = snapshot.part("")] { NewSnapshot::abandon(path); };
    return arguments;
}

// Why the snapshot that is there has to be made anew. Empty: it does not.
Result<std::string> why_anew(const std::string &path, const Machine &described, Manifest wanted) {
    const auto made = open_snapshot(path);
    if (!made) return base::message(made.error());
    Machine m = described;
    // As the launcher of a machine that is saved would plan it, with a new disk.
    be_saved(m, wanted.point, wanted.disk ? made->file("new-" + std::string(snapshot_disk)) : "");
    m.ephemeral = false;
    const auto planned = check_launch(m, {.run_directory = runtime_directory_path() + "/" + m.name,
                                          .terminal = false,
                                          .memory_file = made->file(snapshot_memory),
                                          .check = [&](const Machine &decided, const HostFacts &host) -> Result<> {
                                              wanted.traits = traits_of(decided, host);
                                              return {};
                                          }});
    if (!planned) return std::unexpected(planned.error());
    return difference(made->manifest, wanted);
}

int save_machine(const SnapshotWish &wish, Machine m, Manifest manifest) {
    auto snapshot = NewSnapshot::begin(wish.output, wish.machine.fresh);
    if (!snapshot) return refuse(snapshot.error());
    be_saved(m, manifest.point, manifest.disk ? snapshot->part(snapshot_disk) : "");
    m.ephemeral = false;
    // QEMU would create it readable by others.
    if (auto memory = base::open_at(AT_FDCWD, snapshot->part(snapshot_memory), O_RDWR | O_CREAT | O_EXCL, 0600); !memory)
        return refuse(memory.error());
    Arguments arguments = template_of(wish, m, *snapshot, manifest);
    if (manifest.point != "ready")
        arguments.wait = "fork-point";
    else if (manifest.after == told_ready)
        arguments.wait = "ready";
    auto machine = OwnMachine::boot(std::move(arguments));
    if (!machine) return machine.error();
    const auto done = wait_until_there(*machine, manifest).and_then([&] { return save(*machine, *snapshot); });
    if (done) return 0;
    if (!done.error().hint.contains("machine ended")) return refuse(done.error());
    say(base::message(done.error()));
    const int code = machine->wait();
    return code == 0 ? static_cast<int>(launcher_error) : code;
}

int make_snapshot(SnapshotWish &wish) {
    auto m = machine_of(wish.machine);
    if (!m) return refuse(m.error());
    m->store_kind = saved_store_kind(*m);
    if (auto can = can_be_saved(*m); !can) return refuse(can.error());
    auto description = description_of(wish.machine, m->store_kind);
    if (!description) return refuse(description.error());
    Manifest manifest{m->snapshot_point, std::move(*description), !m->disk_image.empty(), m->node_number, {}, awaited(wish, *m)};
    if (wish.reuse && exists(wish.output)) {
        const auto why = why_anew(wish.output, *m, manifest);
        if (!why) return refuse(why.error());
        say(why->empty() ? "the snapshot still fits" : "the snapshot is made anew: " + *why);
        if (why->empty()) return 0;
        wish.machine.fresh = true;
    }
    return save_machine(wish, std::move(*m), std::move(manifest));
}

}  // namespace

void add_snapshot_command(CLI::App &app, int &status) {
    auto wish = std::make_shared<SnapshotWish>();
    CLI::App *command = app.add_subcommand("snapshot", "boot a machine and save it, for run, start and exec --from");
    add_description_flags(*command, wish->machine);
    command->add_option("-o,--output", wish->output, "the directory for the snapshot")->type_name("DIR")->required();
    CLI::Option *fresh = command->add_flag("--fresh", wish->machine.fresh, "replace an existing snapshot");
    command->add_flag("--reuse", wish->reuse, "keep an existing snapshot that still fits, and replace another")->excludes(fresh);
    CLI::Option *after =
        command
            ->add_option("--after", wish->after,
                         "the machine is ready when this systemd unit is active, or this command succeeds in the guest; '': when "
                         "its agent answers; default: multi-user.target, or without systemd, stage1 tell ready")
            ->type_name("UNIT|COMMAND");
    command->callback([&status, wish, after] {
        wish->after_given = after->count() > 0;
        status = make_snapshot(*wish);
    });
}

}  // namespace hostside

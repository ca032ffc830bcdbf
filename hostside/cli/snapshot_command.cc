#include "hostside/cli/snapshot_command.h"
#include "hostside/base/exit_code.h"

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <format>
#include <memory>
#include <optional>

#include "hostside/base/run_names.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/fork.h"
#include "hostside/cli/own_machine.h"
#include "hostside/cli/reporter.h"
#include "hostside/cli/within_machine.h"
#include "hostside/exec/client.h"
#include "hostside/snapshot/migration.h"
#include "hostside/snapshot/place.h"
#include "mounts/base/at.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

struct SnapshotWish {
    Arguments machine;
    std::string output, after;
    bool after_given = false;
};

// Each refusal with its reason, the most likely first.
Result<> can_be_saved(const Machine &m) {
    const bool ready = m.snapshot_point == "ready";
    const bool agent_off = std::ranges::contains(m.kernel_params, std::format("{}=off", mounts::protocol::agent_parameter));
    const struct {
        bool met;
        std::string_view what, why;
    } refusals[]{
        {m.store_kind == "virtiofs", "storeKind virtiofs",
         "virtiofsd would write to the memory that the forks share; pass --store-kind erofs, or 9p with --snapshot "
         "before-stage-2"},
        {m.share_kind == "virtiofs" ||
             std::ranges::any_of(m.shared_directories, [](const SharedDirectory &s) { return s.proto == "virtiofs"; }),
         "shareKind virtiofs", "virtiofsd would write into the memory that the forks share; pass --share-kind 9p"},
        {ready && m.store_kind == "9p" && !m.store.empty(), "storeKind 9p",
         "a ready machine has it mounted, and QEMU cannot save a machine with a mounted 9p directory; pass --store-kind erofs, "
         "or --snapshot before-stage-2"},
        {!m.initrd.empty(), "an initrd of your own",
         "stage 1 must take part, and only runvm's own initrd is sure to have that stage 1; leave it out"},
        {m.use_boot_loader, "useBootLoader", "the boot loader uses another initrd; leave it out"},
        {m.use_efi_boot, "useEFIBoot", "all forks would share one file of firmware variables; leave it out"},
        {m.tpm, "a TPM", "another program holds its state; leave it out"},
        {m.vsock_cid > 0, "vsock", "only one machine can have its number; leave it out"},
        {m.allow_reboot, "allowReboot", "a fork cannot reboot; leave it out"},
        {!m.run_as.empty(), "runAs", "the memory is a file that only you can read; leave it out"},
        {!m.empty_disks_mib.empty(), "emptyDiskImages", "only the root disk is saved with the machine; leave them out"},
        {std::ranges::any_of(m.drives, [](const Drive &d) { return !d.read_only; }), "drives",
         "only the root disk is saved with the machine; make the others readOnly, or leave them out"},
        {ready && agent_off, "stage1.agent=off", "the agent must take part; leave it out"},
    };
    for (const auto &refusal : refusals)
        if (refusal.met) return fail(0, "snapshot with", refusal.what, std::string(refusal.why));
    return {};
}

// What `auto` means here. The forks must use the same.
std::string store_kind_of(const Machine &m) {
    if (m.store_kind != "auto" || m.store.empty()) return m.store_kind;
    return m.snapshot_point == "ready" ? "erofs" : "9p";
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
Result<> wait_until_there(const OwnMachine &machine, const SnapshotWish &wish, const Machine &m, const std::string &after) {
    if (m.snapshot_point != "ready") return {};
    const ExecWish there{.machine = machine.name(), .run_directory = machine.run_directory(), .patience_s = -1};
    if (wish.after_given || !after.empty())
        if (auto waited = wait_until(there, after); !waited) return waited;
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

int make_snapshot(const SnapshotWish &wish) {
    auto m = machine_of(wish.machine);
    if (!m) return refuse(m.error());
    m->store_kind = store_kind_of(*m);
    if (auto can = can_be_saved(*m); !can) return refuse(can.error());
    auto description = description_of(wish.machine, m->store_kind);
    if (!description) return refuse(description.error());
    auto snapshot = NewSnapshot::begin(wish.output, wish.machine.fresh);
    if (!snapshot) return refuse(snapshot.error());
    const Manifest manifest{m->snapshot_point, std::move(*description), !m->disk_image.empty(), m->node_number, {}};
    be_saved(*m, manifest.point, manifest.disk ? snapshot->part(snapshot_disk) : "");
    m->ephemeral = false;
    // QEMU would create it readable by others.
    if (auto memory = base::open_at(AT_FDCWD, snapshot->part(snapshot_memory), O_RDWR | O_CREAT | O_EXCL, 0600); !memory)
        return refuse(memory.error());
    Arguments arguments = template_of(wish, *m, *snapshot, manifest);
    const std::string after = wish.after_given ? wish.after : default_target(*m);
    const bool told = !wish.after_given && after.empty();
    arguments.wait = manifest.point != "ready" ? "fork-point" : told ? "ready" : "";
    auto machine = OwnMachine::boot(std::move(arguments));
    if (!machine) return machine.error();
    const auto done = wait_until_there(*machine, wish, *m, after).and_then([&] { return save(*machine, *snapshot); });
    if (done) return 0;
    if (!done.error().hint.contains("machine ended")) return refuse(done.error());
    say(base::message(done.error()));
    const int code = machine->wait();
    return code == 0 ? static_cast<int>(launcher_error) : code;
}

}  // namespace

void add_snapshot_command(CLI::App &app, int &status) {
    auto wish = std::make_shared<SnapshotWish>();
    CLI::App *command = app.add_subcommand("snapshot", "boot a machine and save it, for run, start and exec --from");
    add_description_flags(*command, wish->machine);
    command->add_option("-o,--output", wish->output, "the directory for the snapshot")->type_name("DIR")->required();
    command->add_flag("--fresh", wish->machine.fresh, "replace an existing snapshot");
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

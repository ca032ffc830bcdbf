#include "stage1/run.h"

#include <chrono>
#include <format>
#include <optional>

#include "mounts/execute.h"
#include "mounts/find_device.h"
#include "stage1/check_file_system.h"
#include "stage1/disk/prepare.h"
#include "stage1/load_db.h"
#include "stage1/modules/load.h"
#include "stage1/store_union.h"
#include "stage1/switch_root.h"
#include "stage1/system.h"
#include "stage1/uevent.h"

namespace stage1 {

namespace {

using base::fail;
using base::Result;
using Line = Result<std::string>;

bool names_a_device(const std::string &source) { return source.starts_with("/dev/") || source.find('=') != std::string::npos; }

Line run(const mounts::LoadModules &step) {
    auto modules = Modules::open();
    if (!modules) return std::unexpected(modules.error());
    const auto devices = modules->load_for_devices();
    if (!devices) return std::unexpected(devices.error());
    const auto named = modules->load(step.names);
    if (!named) return std::unexpected(named.error());
    std::string line = std::format("modules: {} loaded", *devices + named->loaded);
    for (const auto &missing : named->missing)
        line += std::format("; '{}' is needed by {} and neither in this kernel nor in the initrd", missing, step.needed_by);
    return line;
}

Line run(const mounts::WaitForDevice &step) {
    auto socket = UeventSocket::open();
    if (!socket) return std::unexpected(socket.error());
    std::optional<Result<std::string>> found;
    const auto there = socket->wait_until([&] { return (found = mounts::find_device(step.spec))->has_value(); },
                                          std::chrono::seconds(step.timeout_s));
    if (!there) return std::unexpected(there.error());
    if (*there) return std::format("device: {} is {}", step.spec, **found);
    auto error = found->error();
    error.step = "wait for";
    error.path = step.spec;
    error.hint = std::format("did not come within {} s ({}=SECONDS); there is: {}", step.timeout_s, "stage1.device-timeout",
                             mounts::describe(mounts::list_devices()));
    return std::unexpected(std::move(error));
}

Line run(const mounts::PrepareDisk &step) {
    auto device = mounts::find_device(step.spec);
    if (!device) return device;
    DiskRequest request;
    request.device = *device;
    const auto outcome = prepare_disk(request);
    if (!outcome) return std::unexpected(outcome.error());
    return outcome->description;
}

Line run(const mounts::CheckFileSystem &step) {
    auto device = mounts::find_device(step.spec);
    if (!device) return device;
    return check_file_system(*device, step.type);
}

// A device that holds another file system than the table says (an xfs root, say) is mounted as what it is.
Result<> resolve(mounts::Mount &mount) {
    if (!names_a_device(mount.source)) return {};
    auto device = mounts::find_device(mount.source);
    if (!device) return std::unexpected(device.error());
    mount.source = *device;
    for (const auto &there : mounts::list_devices())
        if ("/dev/" + there.name == *device && there.signature.outcome == mounts::Signature::Outcome::found &&
            !there.signature.type.empty())
            mount.type = there.signature.type;
    return {};
}

Line run(mounts::Mount step) {
    auto ready = resolve(step);
    if (ready && step.type != "tmpfs" && step.type != "9p") {
        auto modules = Modules::open();
        if (modules) (void)modules->load({"fs-" + step.type});  // built in or absent: the mount itself tells
    }
    auto mounted = ready ? mounts::mount_file_system(step) : Result<mounts::MountOutcome>(std::unexpected(ready.error()));
    if (mounted)
        return *mounted == mounts::MountOutcome::was_mounted ? std::format("mount: {} was mounted", step.target) : std::string();
    if (step.optional) return std::format("{}; it is optional, ignoring", message(mounted.error()));
    return std::unexpected(mounted.error());
}

Line run(const mounts::MountUnion &step) { return mount_union(step); }

Line run(const mounts::MakeDirectory &step) {
    return make_directory(step).transform([] { return std::string(); });
}

Line run(const mounts::MarkFile &step) {
    return mark_file(step).transform([] { return std::string(); });
}

Line run(const mounts::GrowFileSystem &step) { return fail(ENOTSUP, "grow", step.target, "not built yet"); }

Line run(const mounts::RegisterClosure &step) {
    if (step.reginfo.empty()) return "register: no regInfo= and so nothing to load";
    return load_db({step.target_root, step.reginfo, step.system});
}

Line run(const mounts::SwitchRoot &step) {
    if (auto ready = check_init(step.target_root, step.init); !ready) return std::unexpected(ready.error());
    return std::unexpected(switch_root(step.target_root, step.init));
}

}  // namespace

Line run_step(const mounts::Step &step) {
    return std::visit([](const auto &s) { return run(s); }, step);
}

}  // namespace stage1

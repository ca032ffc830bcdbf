#include "stage1/steps/run_step.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <format>

#include "mounts/base/at.h"
#include "mounts/boot/source.h"
#include "mounts/devices/device.h"
#include "mounts/devices/driverless.h"
#include "mounts/devices/find_device.h"
#include "mounts/devices/mount_file_system.h"
#include "stage1/base/tell_host.h"
#include "stage1/disk/grow.h"
#include "stage1/disk/prepare_disk.h"
#include "stage1/modules/load.h"
#include "stage1/nixdb/register_closure.h"
#include "stage1/steps/bind.h"
#include "stage1/steps/check_file_system.h"
#include "stage1/steps/fork.h"
#include "stage1/steps/scan_progress.h"
#include "stage1/steps/store_union.h"
#include "stage1/steps/switch_root.h"
#include "stage1/steps/system.h"
#include "stage1/steps/target.h"
#include "stage1/steps/uevent.h"

namespace stage1 {

namespace {

using base::Result;
using Line = Result<std::string>;

Line run(const mounts::LoadModules &step) {
    auto modules = Modules::open();
    if (!modules) return std::unexpected(modules.error());
    const auto devices = modules->load_for_devices();
    if (!devices) return std::unexpected(devices.error());
    std::vector<std::string> names;
    for (const auto &needed : step.modules) names.push_back(needed.name);
    const auto named = modules->load(names);
    if (!named) return std::unexpected(named.error());
    std::string line = std::format("modules: {} loaded", *devices + named->loaded);
    for (const auto &missing : named->missing)
        if (const auto needed = std::ranges::find(step.modules, "fs-" + missing, &mounts::NeededModule::name);
            needed != step.modules.end())
            line += std::format("; '{}' is needed by {} and neither in this kernel nor in the initrd", missing, needed->by);
    return line;
}

Line find(const std::string &spec, FoundDevices &devices) {
    if (const auto known = devices.find(spec); known != devices.end()) return known->second;
    auto found = mounts::find_device(spec);
    if (found) devices.emplace(spec, *found);
    return found;
}

// Why no disk exists at all.
std::string no_disk_because() {
    const std::string driver = mounts::missing_disk_driver();
    if (driver.empty()) return "; is the disk's driver (virtio_blk, say) in the kernel or in the initrd?";
    return std::format("; the machine has a virtio device that nothing drives: '{}' is neither in this kernel nor in the initrd",
                       driver);
}

Line run(const mounts::WaitForDevice &step, FoundDevices &devices) {
    // Do not wait for a name that can never match.
    if (const auto spec = mounts::parse_device_spec(step.spec); !spec) return std::unexpected(spec.error());
    auto found = find(step.spec, devices);
    if (!found) {
        auto socket = UeventSocket::open();
        if (!socket) return std::unexpected(socket.error());
        mention_to_host(std::format("waits {} {}", step.timeout_s, step.spec));
        const auto look = [&] { return (found = find(step.spec, devices)).has_value(); };
        if (const auto there = socket->wait_until(look, std::chrono::seconds(step.timeout_s)); !there)
            return std::unexpected(there.error());
    }
    if (found) return std::format("device: {} is {}", step.spec, *found);
    auto error = found.error();
    error.step = "wait for";
    error.path = step.spec;
    const auto there = mounts::list_devices();
    error.hint = std::format("did not appear within {} s ({}=SECONDS); block devices: {}{}", step.timeout_s,
                             "stage1.device-timeout", mounts::describe(there), there.empty() ? no_disk_because() : "");
    return std::unexpected(std::move(error));
}

Line run(const mounts::PrepareDisk &step, FoundDevices &devices) {
    DiskRequest request;
    if (!step.content.empty()) {
        // If one device has this name, it is the root. If several have it, WaitForDevice reports that.
        if (const auto named = find(step.content, devices); named || named.error().code != ENODEV) return std::string();
        const auto spec = mounts::parse_device_spec(step.content);
        if (!spec) return std::unexpected(spec.error());
        (spec->kind == mounts::DeviceSpec::Kind::uuid ? request.uuid : request.label) = spec->value;
    }
    auto device = find(step.spec, devices);
    if (!device) return device;
    request.device = *device;
    request.vouched = step.vouched && still_vouched();
    request.progress = tell_scan_of(*device);
    const auto outcome = prepare_disk(request);
    if (!outcome) return std::unexpected(outcome.error());
    return outcome->description;
}

// The type that libblkid finds on a device; empty: none.
std::string probed_type(const std::string &device) {
    const auto fd = base::open_at(AT_FDCWD, device, O_RDONLY);
    const auto signature = fd ? mounts::probe(fd->get(), device) : Result<mounts::Signature>(std::unexpected(fd.error()));
    return signature && signature->outcome == mounts::Signature::Outcome::found ? signature->type : "";
}

Line run(const mounts::CheckFileSystem &step, FoundDevices &devices) {
    // First, because probing the device for its type is the most expensive part.
    if (!initrd_has_checkers()) return std::format("fsck: the initrd has none; {} is mounted unchecked", step.spec);
    auto device = find(step.spec, devices);
    if (!device) return device;
    const std::string type = probed_type(*device);
    return check_file_system(*device, type.empty() ? step.type : type);
}

// Tries the type in the table first, because a probe costs more than the mount. If the device holds another file system (an xfs
// root, `auto`), loads its module and mounts that.
Result<mounts::MountOutcome> mount_device(mounts::Mount mount, FoundDevices &devices) {
    std::string source;
    for (const std::string &spec : mounts::device_sources(mount.source, mount.type, mount.options)) {
        const auto device = find(spec, devices);
        if (!device) return std::unexpected(device.error());
        (source += source.empty() ? "" : ":") += *device;
    }
    mount.source = source;
    const bool any = mount.type == "auto";
    auto mounted = any ? base::fail(EINVAL, "mount", mount.target) : mounts::mount_file_system(mount);
    if (mounted || (mounted.error().code != EINVAL && mounted.error().code != ENODEV)) return mounted;
    const std::string type = probed_type(source);  // fails for several devices, because no such path exists
    if (type.empty() || type == mount.type) return mounted;
    mount.type = type;
    if (auto modules = Modules::open()) (void)modules->load({"fs-" + type});  // on failure, the mount reports what is missing
    return mounts::mount_file_system(mount);
}

Result<mounts::MountOutcome> mount(const mounts::Mount &step, FoundDevices &devices) {
    mounts::Mount mount = step;
    auto target = real_path(step.root, step.target);
    if (!target) return std::unexpected(target.error());
    mount.target = std::move(*target);
    if (auto in_root = resolve_places(mount); !in_root) return std::unexpected(in_root.error());
    const bool of_device = !mounts::device_sources(mount.source, mount.type, mount.options).empty();
    return of_device ? mount_device(std::move(mount), devices) : mounts::mount_file_system(mount);
}

Line run(const mounts::PassOver &step) { return step.text; }

Line run(const mounts::MakeBindPlaces &step) {
    return make_bind_places(step).transform([] { return std::string(); });
}

Line run(const mounts::Mount &step, FoundDevices &devices) {
    const auto mounted = mount(step, devices);
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

Line run(const mounts::KeepVisible &step) {
    return keep_visible(step).transform([] { return std::string(); });
}

Line run(const mounts::GrowFileSystem &step) { return real_path(step.root, step.target).and_then(grow_file_system); }

Line run(const mounts::RegisterClosure &step) {
    auto done = nixdb::register_closure({step.target_root, step.reginfo, step.mode, step.system})
                    .transform([](const nixdb::RegisterReport &report) { return nixdb::describe(report); });
    // Only Nix needs the registration, so tell a person who just wants to boot how to skip it.
    if (!done) done.error().hint += std::string(done.error().hint.empty() ? "" : "; ") + "stage1.register=off boots without it";
    return done;
}

Line run(const mounts::RegisterNewPaths &step) { return register_new_paths(step.target_root, step.file); }

Line run(const mounts::CheckInit &step) {
    return find_stage2(step.target_root, step.init).transform([](const std::string &) { return std::string(); });
}

Line run(const mounts::WaitForFork &) {
    return wait_to_be_forked().transform([] { return std::string("fork: a machine of its own from here on"); });
}

Line run(const mounts::SwitchRoot &step) { return std::unexpected(switch_root(step)); }

}  // namespace

Line run_step(const mounts::Step &step, FoundDevices &devices) {
    const auto one = [&](const auto &s) {
        if constexpr (requires { run(s, devices); })
            return run(s, devices);
        else
            return run(s);
    };
    return std::visit(one, step);
}

}  // namespace stage1

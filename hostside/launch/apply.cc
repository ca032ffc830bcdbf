#include "hostside/launch/apply.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "hostside/boot/initrd.h"
#include "hostside/host/image.h"
#include "hostside/host/qcow2.h"
#include "hostside/host/raw_image.h"
#include "hostside/host/run_directory.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

// One overload per kind of step.
class Apply {
  public:
    Apply(const HostFacts &host, Held &held) : host_(host), held_(held) {}

    Result<> operator()(const UseCached &step) {
        if (use_entry(step.path, small_things)) return {};
        return fail(ESTALE, "use", step.path, "another launcher removed it from the cache; start again");
    }
    Result<> operator()(const JoinVlan &step) {
        auto port = VlanPort::join(step.runtime, step.vlan, step.node);
        if (!port) return std::unexpected(port.error());
        held_.vlans.push_back(std::move(*port));
        return {};
    }
    Result<> operator()(const RelayGuest &step) {
        auto relay = GuestRelay::listen(step.socket, step.targets);
        if (!relay) return std::unexpected(relay.error());
        held_.relays.push_back(std::move(*relay));
        return {};
    }
    Result<> operator()(const MakeOwnDirectory &step) {
        const std::filesystem::path path(step.path);
        auto made = own_directory(path.parent_path(), path.filename(), step.owner);
        return made ? Result<>{} : std::unexpected(made.error());
    }
    Result<> operator()(const ShareFile &step) {
        if (auto made = (*this)(MakeOwnDirectory{step.directory}); !made) return made;
        const std::string file = step.directory + "/" + step.name;
        if (auto copied = (*this)(CopyFile{step.from, file}); !copied) return copied;
        // Whatever the umask is.
        for (const auto &[path, mode] : {std::pair{step.directory, 0755}, {file, 0644}})
            if (::chmod(path.c_str(), static_cast<mode_t>(mode)) < 0) return fail(errno, "chmod", path);
        return {};
    }
    Result<> operator()(const WriteFile &step) {
        if (step.cached && use_entry(step.path, small_things)) return {};
        auto bytes = content(step);
        if (!bytes) return std::unexpected(bytes.error());
        return step.cached ? keep({step.path, std::move(*bytes)}) : base::replace_file(step.path, *bytes);
    }
    Result<> operator()(const HoldImage &step) {
        auto lock = lock_image(step.path);
        if (!lock) return std::unexpected(lock.error());
        held_.locks.push_back(std::move(*lock));
        auto claim = claim_device(step.path);
        if (!claim) return std::unexpected(claim.error());
        if (*claim) held_.devices.push_back(std::move(*claim));
        if (step.empty && !(step.format == "raw" ? is_empty_raw(step.path) : is_empty_qcow2(step.path)))
            return fail(0, "use image", step.path, "another process wrote to it meanwhile; start again");
        return {};
    }
    Result<> operator()(const PutAside &step) {
        return ::rename(step.from.c_str(), step.to.c_str()) == 0 ? Result<>{} : fail(errno, "put aside", step.from);
    }
    Result<> operator()(const MakeImage &step) {
        auto made = ensure_image(host_.qemu, step.path, step.mib, step.format);
        if (!made) return std::unexpected(made.error());
        // The guest was told that the disk is empty, because none existed. That is not certain for another process's image.
        if (!*made) return fail(0, "create image", step.path, "another process made it meanwhile; start again");
        return {};
    }
    Result<> operator()(const GrowImage &step) { return grow_image(host_.qemu, step.path, step.mib, step.format); }
    Result<> operator()(const OverlayImage &step) {
        return overlay_image(host_.qemu, step.path, step.backing, step.backing_format);
    }
    Result<> operator()(const CopyFile &step) {
        constexpr size_t limit_bytes = size_t{64} << 20;  // flash and certificates have at most a few MiB
        auto bytes = base::read_file(step.from, limit_bytes);
        return bytes ? base::replace_file(step.to, *bytes) : std::unexpected(bytes.error());
    }
    Result<> operator()(const WriteStamp &step) {
        (void)base::replace_file(stamp_of(step.image), step.toplevel + "\n");  // a failure only costs a later warning
        return {};
    }

  private:
    const HostFacts &host_;
    Held &held_;
};

}  // namespace

Result<std::string> content(const WriteFile &step) {
    if (step.beginning.empty()) return step.bytes;
    auto bytes = base::read_file(step.beginning, size_t{1} << 30);
    if (!bytes) return bytes;
    return with_archives(std::move(*bytes), step.bytes);
}

Result<Held> apply(const LaunchPlan &plan) {
    Held held;
    for (const auto &entry : plan.learned) remember(entry);
    for (const auto &step : plan.steps)
        if (auto done = std::visit(Apply(plan.host, held), step); !done) return std::unexpected(done.error());
    return held;
}

}  // namespace hostside

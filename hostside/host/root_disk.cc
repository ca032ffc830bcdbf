#include "hostside/host/root_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <format>

#include "hostside/host/image.h"
#include "hostside/host/run_directory.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

bool exists(const std::string &path) { return ::access(path.c_str(), F_OK) == 0; }

Result<> hold_image(RootDisk &disk, const std::string &path) {
    auto lock = lock_image(path);
    if (!lock) return std::unexpected(lock.error());
    disk.locks.push_back(std::move(*lock));
    return {};
}

Result<> put_aside(RootDisk &disk, const std::string &path) {
    std::string aside;
    for (int n = 1; aside.empty() || exists(aside); ++n) aside = std::format("{}.old-{}", path, n);
    if (::rename(path.c_str(), aside.c_str()) < 0) return fail(errno, "put aside", path);
    disk.notes.push_back(std::format("put {} aside as {}", path, aside));
    return {};
}

// What a disk was made for, beside it: the system's path. A name of its own, for qcow2 has no place for it.
void check_stamp(RootDisk &disk, const Machine &m, bool created) {
    const std::string stamp = m.disk_image + ".runvm";
    if (created) {
        (void)base::replace_file(stamp, m.toplevel + "\n");  // without it, no warning later
        return;
    }
    auto old = base::read_file(stamp, 4096);
    if (!old || *old == m.toplevel + "\n") return;
    while (old->ends_with('\n')) old->pop_back();
    disk.notes.push_back(
        std::format("warning: {} was made for {}, and now boots {}; --fresh starts over", m.disk_image, *old, m.toplevel));
}

}  // namespace

Result<RootDisk> make_root_disk(const Machine &m, const std::string &qemu, const std::string &run_folder, bool fresh) {
    RootDisk disk{.image = m.disk_image};
    if (disk.image.empty()) return disk;
    if (m.ephemeral && !exists(disk.image)) {
        disk.image = run_folder + "/root.qcow2";
        auto made = ensure_image(qemu, disk.image, m.disk_mib);
        if (!made) return std::unexpected(made.error());
        disk.empty = *made;
        return disk;
    }
    if (exists(disk.image)) {
        if (auto locked = hold_image(disk, disk.image); !locked) return std::unexpected(locked.error());
        if (fresh)
            if (auto aside = put_aside(disk, disk.image); !aside) return std::unexpected(aside.error());
    }
    if (exists(disk.image))
        if (auto good = check_qcow2(disk.image, "start over with --fresh"); !good) return std::unexpected(good.error());
    if (m.ephemeral && exists(disk.image)) {
        const std::string overlay = run_folder + "/root.qcow2";
        if (auto made = overlay_image(qemu, overlay, disk.image); !made) return std::unexpected(made.error());
        disk.image = overlay;
        return disk;
    }
    auto made = ensure_image(qemu, disk.image, m.disk_mib);
    if (!made) return std::unexpected(made.error());
    disk.empty = *made || (!disk.locks.empty() && is_empty_qcow2(disk.image));
    if (*made) disk.notes.push_back(std::format("created {}, {} MiB", disk.image, m.disk_mib));
    if (*made || disk.locks.empty())  // not ours and not held: another made it meanwhile
        if (auto locked = hold_image(disk, disk.image); !locked) return std::unexpected(locked.error());
    check_stamp(disk, m, *made);
    return disk;
}

}  // namespace hostside

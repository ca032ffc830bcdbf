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

Result<RootDisk> look_at_root_disk(const Machine &m, const RootDiskWish &wish) {
    RootDisk disk{.image = m.disk_image};
    if (disk.image.empty()) return disk;
    const bool there = exists(disk.image);
    if (m.ephemeral) disk.image = wish.run_folder + "/root.qcow2";
    disk.empty = !there || wish.fresh;
    if (!there) return disk;
    if (auto locked = hold_image(disk, m.disk_image); !locked) return std::unexpected(locked.error());
    if (wish.fresh) return disk;
    if (auto good = check_qcow2(m.disk_image, "start over with --fresh"); !good) return std::unexpected(good.error());
    disk.empty = !m.ephemeral && is_empty_qcow2(m.disk_image);
    return disk;
}

Result<> make_root_disk(RootDisk &disk, const Machine &m, const RootDiskWish &wish) {
    if (disk.image.empty()) return {};
    const bool there = !disk.locks.empty();
    if (there && wish.fresh)
        if (auto aside = put_aside(disk, m.disk_image); !aside) return aside;
    if (there && !wish.fresh) {
        if (m.ephemeral) return overlay_image(wish.qemu, disk.image, m.disk_image);
        check_stamp(disk, m, false);
        return {};
    }
    auto made = ensure_image(wish.qemu, disk.image, m.disk_mib);
    if (!made) return std::unexpected(made.error());
    // What the guest is told of an empty disk was said of none.
    if (!*made) return fail(0, "create image", disk.image, "another made it meanwhile; start again");
    if (m.ephemeral) return {};
    disk.notes.push_back(std::format("created {}, {} MiB", disk.image, m.disk_mib));
    if (auto locked = hold_image(disk, disk.image); !locked) return locked;
    check_stamp(disk, m, true);
    return {};
}

}  // namespace hostside

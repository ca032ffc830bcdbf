#include "mounts/devices/mount_file_system.h"

#include <fcntl.h>
#include <libmount/libmount.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <format>
#include <memory>

#include "mounts/boot/source.h"
#include "mounts/devices/nine_p.h"

namespace mounts {

namespace {

using base::fail;
using base::Result;

using Context = std::unique_ptr<libmnt_context, decltype(&mnt_free_context)>;
using Table = std::unique_ptr<libmnt_table, decltype(&mnt_unref_table)>;

Table mounts_now() { return {mnt_new_table_from_file("/proc/self/mountinfo"), &mnt_unref_table}; }

std::string text(const char *s) { return s != nullptr ? s : ""; }

// Why the host's 9p tag was not found. Empty: the host offers it, and the errno tells the cause. Without the driver no tags are
// visible.
std::string why_no_tag(const std::string &tag) {
    if (!has_nine_p_driver())
        return std::format(
            "cannot look for tag '{}': this kernel has no 9p over virtio, and the initrd has no module for it (9pnet_virtio, 9p)",
            tag);
    const auto tags = offered_tags();
    if (std::ranges::contains(tags, tag)) return {};
    std::string present;
    for (const auto &other : tags) present += (present.empty() ? "" : ", ") + other;
    return std::format("tag '{}' not offered by the host; tags present: {}", tag, present.empty() ? "none" : present);
}

// Explains an errno for this kind of mount. Empty: the errno says enough.
std::string explain(const Mount &mount, int code) {
    if (code == ENODEV)
        return std::format("this kernel has no file system '{}', built in or as a module of the initrd", mount.type);
    if (code == EINVAL)
        return std::format("bad superblock on '{}', or an option that {} does not take: {}", mount.source, mount.type,
                           mount.options);
    // ext4 returns this for damaged group descriptors, for example; libmount and musl have no text for it.
    if (code == EUCLEAN || code == EBADMSG)
        return std::format(
            "'{0}' is not whole as {1}; have it checked where it is not mounted, as by 'e2fsck -f {0}' in a shell of the initrd, "
            "or on the host",
            mount.source, mount.type);
    return {};
}

Result<> mount_with_libmount(const Mount &mount) {
    const Context context(mnt_new_context(), &mnt_free_context);
    mnt_context_disable_helpers(context.get(), 1);
    mnt_context_disable_mtab(context.get(), 1);
    // A tag such as `store` is not a path, so it must not be canonicalized.
    mnt_context_disable_canonicalize(context.get(), 1);
    mnt_context_set_source(context.get(), mount.source.c_str());
    mnt_context_set_target(context.get(), mount.target.c_str());
    mnt_context_set_fstype(context.get(), mount.type.c_str());
    mnt_context_set_options(context.get(), mount.options.c_str());
    const int result = mnt_context_mount(context.get());
    if (result == 0 && mnt_context_get_status(context.get()) == 1) return {};

    const int code =
        mnt_context_syscall_called(context.get()) != 0 ? mnt_context_get_syscall_errno(context.get()) : std::abs(result);
    if (mount.type == "9p")
        if (const std::string why = why_no_tag(mount.source); !why.empty()) return fail(0, "mount", mount.target, why);
    if (const std::string hint = explain(mount, code); !hint.empty()) return fail(code, "mount", mount.target, hint);
    std::array<char, 512> words{};
    (void)mnt_context_get_excode(context.get(), result, words.data(), words.size());
    return fail(code, "mount", mount.target, std::format("of '{}', type {}: {}", mount.source, mount.type, words.data()));
}

// Asks the kernel without reading the mount table (Linux 5.8). True if the kernel cannot tell.
bool may_be_mounted(const std::string &target) {
    struct statx st{};
    if (::statx(AT_FDCWD, target.c_str(), AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW, 0, &st) < 0) return errno != ENOENT;
    constexpr uint64_t mount_root = 0x2000;  // STATX_ATTR_MOUNT_ROOT; musl lacks it
    return (st.stx_attributes_mask & mount_root) == 0 || (st.stx_attributes & mount_root) != 0 || S_ISLNK(st.stx_mode);
}

// A bind mount has the same root as its source.
bool are_one(const std::string &source, const std::string &target) {
    struct stat a{}, b{};
    return ::stat(source.c_str(), &a) == 0 && ::stat(target.c_str(), &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

}  // namespace

MountedAt mounted_at(const std::string &device) {
    const Table table = mounts_now();
    struct stat st{};
    if (!table || ::stat(device.c_str(), &st) < 0) return {};
    libmnt_fs *fs = mnt_table_find_devno(table.get(), st.st_rdev, MNT_ITER_BACKWARD);
    if (fs == nullptr) fs = mnt_table_find_srcpath(table.get(), device.c_str(), MNT_ITER_BACKWARD);
    return fs != nullptr ? MountedAt{text(mnt_fs_get_target(fs)), text(mnt_fs_get_fstype(fs))} : MountedAt{};
}

std::string mounted_type(const std::string &target) {
    if (!may_be_mounted(target)) return {};
    const Table table = mounts_now();
    libmnt_fs *fs = table ? mnt_table_find_target(table.get(), target.c_str(), MNT_ITER_BACKWARD) : nullptr;
    return fs != nullptr ? text(mnt_fs_get_fstype(fs)) : "";
}

std::vector<MountPoint> mounts_beneath(const std::string &directory) {
    std::vector<MountPoint> found;
    const Table table = mounts_now();
    libmnt_fs *fs = nullptr;
    for (const std::unique_ptr<libmnt_iter, decltype(&mnt_free_iter)> iter(mnt_new_iter(MNT_ITER_FORWARD), &mnt_free_iter);
         table && mnt_table_next_fs(table.get(), iter.get(), &fs) == 0;)
        if (const std::string target = text(mnt_fs_get_target(fs));
            target == directory || target.starts_with(directory == "/" ? directory : directory + '/'))
            found.push_back({mnt_fs_get_id(fs), target});
    return found;
}

Result<MountOutcome> mount_file_system(const Mount &mount) {
    const std::string there = mounted_type(mount.target);
    if (!there.empty() && is_bind(mount.options) && are_one(mount.source, mount.target)) return MountOutcome::was_mounted;
    if (!there.empty() && (there == mount.type || mount.type == "auto")) return MountOutcome::was_mounted;
    if (!there.empty())
        return fail(EBUSY, "mount", mount.target, std::format("{} is already mounted there, not {}", there, mount.type));
    if (auto mounted = mount_with_libmount(mount); !mounted) return std::unexpected(mounted.error());
    return MountOutcome::mounted;
}

}  // namespace mounts

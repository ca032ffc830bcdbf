#include "unionfs/fuse/fuse_device.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "mounts/base/at.h"
#include "mounts/base/process.h"

namespace unionfs {

using base::fail;
using base::Result;

namespace {

unsigned long flags_of(const Options &options) {
    static constexpr std::array<std::pair<std::string_view, unsigned long>, 9> known{{{"ro", MS_RDONLY},
                                                                                      {"nosuid", MS_NOSUID},
                                                                                      {"nodev", MS_NODEV},
                                                                                      {"noexec", MS_NOEXEC},
                                                                                      {"noatime", MS_NOATIME},
                                                                                      {"nodiratime", MS_NODIRATIME},
                                                                                      {"strictatime", MS_STRICTATIME},
                                                                                      {"dirsync", MS_DIRSYNC},
                                                                                      {"sync", MS_SYNCHRONOUS}}};
    unsigned long flags = 0;
    for (const std::string &word : options.for_mount)
        for (const auto &[name, flag] : known)
            if (name == word) flags |= flag;
    if (options.upper.empty() && !options.remount) flags |= MS_RDONLY;
    return flags;
}

// Receives the descriptor that fusermount3 sends over its socket. -1: it sent none.
int receive_fd(int socket) {
    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    if (::recvmsg(socket, &header, MSG_CMSG_CLOEXEC) <= 0) return -1;
    const cmsghdr *message = CMSG_FIRSTHDR(&header);
    if (message == nullptr || message->cmsg_type != SCM_RIGHTS) return -1;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(message), sizeof fd);
    return fd;
}

// Puts fusermount3's message on one line and adds advice where there is some. Before fusermount3 unmounts, it looks the mount
// up in /etc/mtab. That link is missing in a root that was only unpacked from packages.
std::string explained(std::string said) {
    while (said.ends_with('\n')) said.pop_back();
    for (char &c : said)
        if (c == '\n') c = ' ';
    if (said.contains("/etc/mtab")) said += "; it can't unmount either until root runs: ln -s /proc/self/mounts /etc/mtab";
    return said;
}

// Without /proc, callers count as unprivileged.
base::Fd open_processes() { return base::Fd(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)); }

Result<FuseDevice> mount_with_helper(const Options &options) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0) return fail(errno, "socketpair", "fusermount3");
    const base::Fd ours(ends[0]);
    base::Fd theirs(ends[1]);
    std::string words = "default_permissions,subtype=unionfs,fsname=" + options.source;
    if (options.allow_other) words += ",allow_other";
    if (options.upper.empty()) words += ",ro";
    for (const std::string &word : options.for_mount) words += "," + word;
    ::setenv("_FUSE_COMMFD", std::to_string(theirs.get()).c_str(), 1);
    auto exit = base::run(
        {.argv = {"fusermount3", "-o", words, "--", options.mountpoint}, .inherited = {theirs.get()}, .capture_output = true});
    ::unsetenv("_FUSE_COMMFD");
    theirs.reset();
    if (!exit) return fail(exit.error().code, "mount", options.mountpoint, "needs root or fusermount3 in PATH");
    const std::string said = explained(std::move(exit->output));
    base::Fd fd(receive_fd(ours.get()));
    if (!fd) return fail(0, "mount", options.mountpoint, said.empty() ? "fusermount3 refused" : said);
    return FuseDevice{.fd = std::move(fd), .rootless = true, .complaint = said, .processes = open_processes()};
}

// Passthrough needs root on the machine, not in a user namespace. The uid map tells them apart (user_namespaces(7)).
bool in_first_namespace() {
    std::array<char, 64> text{};
    const base::Fd map(::open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC));
    const ssize_t n = map ? ::read(map.get(), text.data(), text.size() - 1) : -1;
    return n <= 0 || std::strtoul(text.data() + std::string_view(text.data()).find_last_of(' '), nullptr, 10) == 0xFFFFFFFF;
}

}  // namespace

Result<FuseDevice> mount_device(const Options &options) {
    struct stat status{};
    if (::stat(options.mountpoint.c_str(), &status) < 0) return fail(errno, "mount point", options.mountpoint);
    if (!S_ISDIR(status.st_mode)) return fail(ENOTDIR, "mount point", options.mountpoint);
    auto fd = base::open_at(AT_FDCWD, "/dev/fuse", O_RDWR);
    if (!fd && fd.error().code != EACCES)
        return fail(fd.error().code, "open", "/dev/fuse", "the kernel needs CONFIG_FUSE_FS or its fuse module");
    if (!fd) return mount_with_helper(options);
    std::string data = "fd=" + std::to_string(fd->get()) + ",rootmode=40000,user_id=" + std::to_string(::geteuid()) +
                       ",group_id=" + std::to_string(::getegid()) + ",default_permissions";
    if (options.allow_other) data += ",allow_other";
    if (::mount(options.source.c_str(), options.mountpoint.c_str(), "fuse.unionfs", flags_of(options), data.c_str()) < 0) {
        if (errno == EPERM) return mount_with_helper(options);
        return fail(errno, "mount", options.mountpoint);
    }
    return FuseDevice{.fd = std::move(*fd), .rootless = !in_first_namespace(), .complaint = {}, .processes = open_processes()};
}

// The daemon needn't know about it, because the kernel never sends it a forbidden request.
Result<> remount(const Options &options) {
    const std::string &path = options.mountpoint;
    if (::mount(nullptr, path.c_str(), nullptr, MS_REMOUNT | flags_of(options), nullptr) < 0)
        return fail(errno, "remount", path, errno == EINVAL ? "nothing is mounted there" : "");
    return {};
}

dev_t device_at(const std::string &mountpoint) {
    struct statx found{};
    if (::statx(AT_FDCWD, mountpoint.c_str(), AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &found) < 0) return 0;
    return makedev(found.stx_dev_major, found.stx_dev_minor);
}

base::Fd clone_device(int device) {
    base::Fd fd(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    auto master = static_cast<uint32_t>(device);
    if (fd && ::ioctl(fd.get(), FUSE_DEV_IOC_CLONE, &master) < 0) fd.reset();
    return fd;
}

void drop_cached_attributes(int device, uint64_t node_id) {
    struct {
        fuse_out_header header{sizeof(fuse_out_header) + sizeof(fuse_notify_inval_inode_out), FUSE_NOTIFY_INVAL_INODE, 0};
        fuse_notify_inval_inode_out which{};
    } notice;
    notice.which.ino = node_id;
    notice.which.off = -1;                           // no pages
    (void)!::write(device, &notice, sizeof notice);  // ENOENT: the kernel has no cached attributes for it
}

void ask_to_resend(const FuseDevice &device) {
    constexpr int resend = 7;  // FUSE_NOTIFY_RESEND, linux/fuse.h of 6.9
    const fuse_out_header notice{sizeof notice, resend, 0};
    (void)!::write(device.fd.get(), &notice, sizeof notice);  // the kernel supports it: the supervisor checked
}

void unmount_device(const Options &options) {
    if (::umount2(options.mountpoint.c_str(), MNT_DETACH) == 0 || errno != EPERM) return;
    (void)base::run({.argv = {"fusermount3", "-u", "-z", "--", options.mountpoint}});  // rootless
}

}  // namespace unionfs

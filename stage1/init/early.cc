#include "stage1/init/early.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "mounts/base/at.h"

namespace stage1 {

namespace {

struct EarlyMount {
    const char *type;
    const char *target;
    unsigned long flags;
    const char *options;
    bool essential;
};

// Modes and flags as in systemd and NixOS's stage 1, because stage 2 takes over these mounts.
constexpr std::array<EarlyMount, 5> early_mounts{{
    {"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "", true},
    {"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, "", true},
    {"devtmpfs", "/dev", MS_NOSUID, "mode=0755", true},
    {"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755", true},
    {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,gid=5,ptmxmode=0666", false},
}};

}  // namespace

base::Result<> mount_early() {
    ::umask(022);
    for (const EarlyMount &m : early_mounts) {
        (void)::mkdir(m.target, 0755);  // if this fails, the mount reports it
        if (::mount(m.type, m.target, m.type, m.flags, m.options) == 0) continue;
        // EBUSY: the kernel mounted /dev itself (CONFIG_DEVTMPFS_MOUNT), or this is a second run.
        if (errno != EBUSY && m.essential) return base::fail(errno, "mount", m.target);
    }
    // devtmpfs hides the initrd's own /dev/console. A kernel without a console has no such device.
    if (auto console = base::open_at(AT_FDCWD, "/dev/console", O_RDWR | O_NOCTTY))
        for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(console->get(), standard);
    return {};
}

}  // namespace stage1

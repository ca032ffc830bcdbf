#include "hostside/host/share_probe.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>

#include "mounts/base/fd.h"

namespace hostside {

bool keeps_attributes(const std::string &directory) {
    const base::Fd file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!file) return true;
    const uint32_t owner = 0;  // the value that QEMU writes
    return ::fsetxattr(file.get(), "user.virtfs.uid", &owner, sizeof owner, 0) == 0;
}

bool may_use(const User &user, const std::string &directory, bool write) {
    const base::Fd fd(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return false;
    // In a child, because the C library sets groups for all threads.
    const pid_t child = ::fork();
    if (child == 0) {
        const int wanted = R_OK | X_OK | (write ? W_OK : 0);
        const bool became = ::syscall(SYS_setgroups, 0, nullptr) == 0 &&
                            ::syscall(SYS_setresgid, user.gid, user.gid, user.gid) == 0 &&
                            ::syscall(SYS_setresuid, user.uid, user.uid, user.uid) == 0;
        ::_exit(became && ::syscall(SYS_faccessat2, fd.get(), "", wanted, AT_EMPTY_PATH) == 0 ? 0 : 1);
    }
    int status = 1;
    while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child > 0 && status == 0;
}

std::string symlink_in(const std::string &directory) {
    constexpr int most_entries = 512;
    std::error_code error;
    int seen = 0;
    for (const auto &entry : std::filesystem::directory_iterator(directory, error)) {
        if (entry.is_symlink(error)) return entry.path().filename();
        if (++seen == most_entries) break;
    }
    return {};
}

}  // namespace hostside

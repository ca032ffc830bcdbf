#include "hostside/base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <format>
#include <thread>

#include "mounts/base/at.h"

namespace hostside {

namespace {

long pid_in(int lock) {
    (void)::lseek(lock, 0, SEEK_SET);
    auto text = base::read_all(lock, "lock", 64);
    return text ? std::strtol(text->c_str(), nullptr, 10) : 0;
}

std::unexpected<base::Error> held_by(const std::string &what, long pid) {
    return base::fail(0, "lock", what, std::format("in use by the runvm with pid {}; stop that one, or use another", pid));
}

}  // namespace

base::Result<FileLock> FileLock::take(const std::string &path, const std::string &what) {
    // Other launchers hold the lock briefly to see who runs. A lock file that was removed while we opened it locks nothing.
    constexpr int tries = 5;
    constexpr auto pause = std::chrono::milliseconds(5);
    for (int i = 0;; ++i) {
        auto fd = base::open_at(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
        if (!fd) return std::unexpected(fd.error());
        struct stat st{};
        if (::flock(fd->get(), LOCK_EX | LOCK_NB) == 0) {
            if (::fstat(fd->get(), &st) < 0 || st.st_nlink == 0) continue;
            FileLock lock(path, std::move(*fd));
            if (::ftruncate(lock.fd_.get(), 0) < 0) return base::fail(errno, "write", path);
            auto wrote = base::write_all(lock.fd_.get(), std::format("{}\n", ::getpid()), path);
            return wrote ? base::Result<FileLock>(std::move(lock)) : std::unexpected(wrote.error());
        }
        if (errno != EWOULDBLOCK) return base::fail(errno, "lock", path);
        if (i >= tries) return held_by(what, pid_in(fd->get()));
        std::this_thread::sleep_for(pause);
    }
}

FileLock::~FileLock() {
    // Remove it while the lock is held. A launcher that opened the file before and gets the lock now then sees that it has no
    // name.
    if (held()) (void)::unlink(path_.c_str());
}

base::Result<> FileLock::is_free(const std::string &path, const std::string &what) {
    const long pid = holder(path);
    return pid == 0 ? base::Result<>{} : held_by(what, pid);
}

long FileLock::holder(const std::string &path) {
    auto fd = base::open_at(AT_FDCWD, path, O_RDWR | O_NOFOLLOW);
    if (!fd || ::flock(fd->get(), LOCK_EX | LOCK_NB) == 0) return 0;
    return pid_in(fd->get());
}

}  // namespace hostside

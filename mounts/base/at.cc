#include "mounts/base/at.h"

#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

namespace base {

namespace {

Result<Fd> openat2_with(int dir, const std::string &path, int flags, mode_t mode, uint64_t resolve) {
    open_how how{};
    how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
    how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
    how.resolve = resolve;
    // EAGAIN: a rename raced with the path walk, and the kernel asks for a retry (openat2(2)).
    for (int attempt = 0; attempt < 8; ++attempt) {
        const long fd = ::syscall(SYS_openat2, dir, path.c_str(), &how, sizeof how);
        if (fd >= 0) return Fd(static_cast<int>(fd));
        if (errno != EAGAIN && errno != EINTR) break;
    }
    return fail(errno, "open", path);
}

}  // namespace

Result<Fd> open_at(int dir, const std::string &path, int flags, mode_t mode) {
    int fd = -1;
    do fd = ::openat(dir, path.c_str(), flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return fail(errno, "open", path);
    return Fd(fd);
}

Result<Fd> open_beneath(int dir, const std::string &path, int flags, mode_t mode) {
    return openat2_with(dir, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

Result<Fd> open_in_root(int dir, const std::string &path, int flags, mode_t mode) {
    return openat2_with(dir, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

Result<std::string> read_all(int fd, std::string_view name, size_t limit_bytes) {
    std::string data;
    std::array<char, 65536> chunk;
    struct stat st{};
    if (::fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
        data.reserve(std::min(static_cast<size_t>(st.st_size), limit_bytes));
    for (;;) {
        const ssize_t n = ::read(fd, chunk.data(), chunk.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(errno, "read", name);
        if (n == 0) return data;
        if (data.size() + static_cast<size_t>(n) > limit_bytes) return fail(EFBIG, "read", name);
        data.append(chunk.data(), static_cast<size_t>(n));
    }
}

Result<std::string> read_file(const std::string &path, size_t limit_bytes) {
    auto fd = open_at(AT_FDCWD, path, O_RDONLY);
    if (!fd) return std::unexpected(fd.error());
    return read_all(fd->get(), path, limit_bytes);
}

Result<> write_all(int fd, std::string_view data, std::string_view name) {
    while (!data.empty()) {
        const ssize_t n = ::write(fd, data.data(), data.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(errno, "write", name);
        data.remove_prefix(static_cast<size_t>(n));
    }
    return {};
}

Result<> replace_file(const std::string &path, std::string_view data, mode_t mode) {
    // A file that already has such a name belongs to a killed process, or somebody planted it. Never write into it.
    constexpr int most_taken = 100;
    std::string temporary;
    Result<Fd> fd = fail(EEXIST, "open", path);
    for (int i = 0; i < most_taken && !fd && fd.error().code == EEXIST; ++i) {
        temporary = path + ".new-" + std::to_string(::getpid()) + "-" + std::to_string(i);
        fd = open_at(AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    }
    // Errors name the file that the caller named.
    if (!fd) return fail(fd.error().code, "create", path);
    Result<> result = write_all(fd->get(), data, path);
    if (result && ::fsync(fd->get()) < 0) result = fail(errno, "fsync", path);
    if (result && ::rename(temporary.c_str(), path.c_str()) < 0) result = fail(errno, "rename", path);
    if (!result) (void)::unlink(temporary.c_str());  // the first error is the one that matters
    return result;
}

Result<> make_directories_at(int dir, std::string_view path) {
    Fd current(::fcntl(dir, F_DUPFD_CLOEXEC, 0));
    if (dir == AT_FDCWD) current.reset(::open(path.starts_with('/') ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!current) return fail(errno, "open", path);
    while (!path.empty()) {
        const size_t slash = path.find('/');
        const std::string name(path.substr(0, slash));
        path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
        if (name.empty()) continue;
        if (::mkdirat(current.get(), name.c_str(), 0755) < 0 && errno != EEXIST) return fail(errno, "mkdir", name);
        auto next = open_at(current.get(), name, O_PATH | O_DIRECTORY);
        if (!next) return std::unexpected(next.error());
        current = std::move(*next);
    }
    return {};
}

Result<Fd> make_directories_in_root(int root, std::string_view path) {
    constexpr int link_limit = 40;  // the kernel's own limit (path_resolution(7))
    auto current = open_in_root(root, "/", O_PATH | O_DIRECTORY);
    std::string done, left(path);
    for (int links = 0; current;) {
        left.erase(0, left.find_first_not_of('/'));
        if (left.empty()) return current;
        const std::string name = left.substr(0, left.find('/'));
        const std::string level = done + '/' + name;
        auto next = open_in_root(root, level, O_PATH | O_DIRECTORY);
        if (!next && next.error().code == ENOENT) {
            if (::mkdirat(current->get(), name.c_str(), 0755) == 0) continue;
            std::array<char, PATH_MAX> to{};
            const ssize_t length = errno == EEXIST ? ::readlinkat(current->get(), name.c_str(), to.data(), to.size()) : -1;
            if (length < 0) return fail(errno, "mkdir", level);
            if (++links > link_limit) return fail(ELOOP, "mkdir", level);
            // Continue with the link's target in place of its name: from the root, or from the link's directory.
            left.replace(0, name.size(), to.data(), static_cast<size_t>(length));
            if (to.front() == '/') {
                done.clear();
                current = open_in_root(root, "/", O_PATH | O_DIRECTORY);
            }
            continue;
        }
        current = std::move(next);
        done = level;
        left.erase(0, name.size());
    }
    return current;
}

Result<std::string> path_of(int fd, std::string_view name) {
    std::array<char, PATH_MAX> path{};
    const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path.data(), path.size());
    if (length < 0) return fail(errno, "resolve", name, "needs /proc");
    std::string text(path.data(), static_cast<size_t>(length));
    struct stat here{}, there{};
    if (::fstat(fd, &here) < 0 || ::lstat(text.c_str(), &there) < 0) return fail(errno, "resolve", name);
    if (here.st_dev != there.st_dev || here.st_ino != there.st_ino)
        return fail(ENOENT, "resolve", name, "it has no name any more, or something is mounted over it");
    return text;
}

}  // namespace base

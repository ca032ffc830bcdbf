#include "mounts/base/empty_directory.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <format>

#include "mounts/base/directory.h"
#include "mounts/base/fd.h"

namespace base {

namespace {

// Opens a directory in `dir` after making it readable and writable. Refuses mount points.
Fd enter(int dir, const std::string &name) {
    (void)::fchmodat(dir, name.c_str(), 0700, AT_SYMLINK_NOFOLLOW);  // open reports a failure
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
    return Fd(static_cast<int>(::syscall(SYS_openat2, dir, name.c_str(), &how, sizeof how)));
}

// Empties directories one level at a time: moves each inner directory up to the top, so that descriptors, stack and path
// lengths do not grow with the depth.
class Sweep {
  public:
    Sweep(int top, const std::string &path) : top_(top), path_(path) {}

    Result<> everything() {
        for (;;) {
            auto names = base::names_in(top_, path_);
            if (!names) return std::unexpected(names.error());
            if (names->empty()) return {};
            const unsigned long before = done_;
            int code = 0;
            for (const auto &name : *names) {
                remove(name);
                code = errno;
            }
            if (done_ == before) return fail(code, "remove", path_ + "/" + names->back());
        }
    }

  private:
    void remove(const std::string &name) {
        if (count(::unlinkat(top_, name.c_str(), 0))) return;
        const Fd dir = enter(top_, name);
        if (!dir) return;
        if (auto inner = base::names_in(dir.get(), name))
            for (const auto &entry : *inner)
                if (!count(::unlinkat(dir.get(), entry.c_str(), 0))) move_up(dir.get(), entry);
        count(::unlinkat(top_, name.c_str(), AT_REMOVEDIR));
    }

    void move_up(int dir, const std::string &name) {
        // A directory that is not writable by its owner cannot be moved, because its `..` changes.
        (void)::fchmodat(dir, name.c_str(), 0700, AT_SYMLINK_NOFOLLOW);
        // Other than a free name, a guest can have put anything there.
        while (::renameat(dir, name.c_str(), top_, std::format(".swept-{}", moved_).c_str()) < 0) {
            if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) return;
            ++moved_;
        }
        ++moved_;
        ++done_;
    }

    bool count(int result) {
        done_ += result == 0 ? 1 : 0;
        return result == 0;
    }

    int top_;
    const std::string &path_;
    unsigned long done_ = 0;   // successful steps; a whole round without one: stuck
    unsigned long moved_ = 0;  // the next name at the top
};

}  // namespace

Result<> empty_directory(int directory, const std::string &path) { return Sweep(directory, path).everything(); }

}  // namespace base

// A file that says who holds something: a machine's name, a disk image, a place on a vlan. Held for as long as its owner
// lives, whatever ends it; the file goes with the lock, or is swept when its owner was killed.
#pragma once

#include <string>
#include <utility>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

class FileLock {
  public:
    // Error: another launcher holds it, with its pid; `what` is the thing in the message.
    static base::Result<FileLock> take(const std::string &path, const std::string &what);
    FileLock(FileLock &&) noexcept = default;
    FileLock &operator=(FileLock &&other) noexcept {
        std::swap(path_, other.path_), std::swap(fd_, other.fd_);
        return *this;
    }
    FileLock(const FileLock &) = delete;
    FileLock &operator=(const FileLock &) = delete;
    ~FileLock();

    // Not after it was moved from.
    [[nodiscard]] bool held() const { return fd_.valid(); }

    // The error that `take` would give; takes nothing.
    static base::Result<> is_free(const std::string &path, const std::string &what);

    // Who holds the lock at `path`: its launcher's pid; 0: nobody, or no such file.
    static long holder(const std::string &path);

  private:
    FileLock(std::string path, base::Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    std::string path_;
    base::Fd fd_;
};

}  // namespace hostside

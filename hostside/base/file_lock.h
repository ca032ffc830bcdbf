// A lock file that says who holds something: a machine's name, a disk image, a place on a vlan. The lock lasts as long as its
// owner, however the owner ends. The file is removed with the lock, or swept later if its owner was killed.
#pragma once

#include <string>
#include <utility>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

class FileLock {
  public:
    // Error: another launcher holds the lock; the message has its pid. `what` names the thing in the message.
    static base::Result<FileLock> take(const std::string &path, const std::string &what);
    FileLock(FileLock &&) noexcept = default;
    FileLock &operator=(FileLock &&other) noexcept {
        std::swap(path_, other.path_), std::swap(fd_, other.fd_);
        return *this;
    }
    FileLock(const FileLock &) = delete;
    FileLock &operator=(const FileLock &) = delete;
    ~FileLock();

    // False after a move.
    [[nodiscard]] bool held() const { return fd_.valid(); }

    // Returns the error that `take` would return, without taking the lock.
    static base::Result<> is_free(const std::string &path, const std::string &what);

    // The pid of the launcher that holds the lock at `path`; 0: nobody does, or the file does not exist.
    static long holder(const std::string &path);

  private:
    FileLock(std::string path, base::Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    std::string path_;
    base::Fd fd_;
};

}  // namespace hostside

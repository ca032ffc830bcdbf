// The directory of one running machine: ${XDG_RUNTIME_DIR}/runvm/NAME or /tmp/runvm-UID/NAME, mode 0700, with its sockets,
// console log and xchg. The launcher holds a lock on it while it lives. What a killed launcher left is kept as its last run
// (last_run.h) and removed when the next machine starts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hostside/base/file_lock.h"
#include "hostside/base/user.h"
#include "mounts/base/error.h"

namespace hostside {

class RunDirectory {
  public:
    // `another`: a taken name becomes NAME-2 and so on: machines in different directories may share a name. Error: a machine of
    // this name runs (with its launcher's PID), or the directory can't be made.
    static base::Result<RunDirectory> create(const std::string &name, bool another);
    RunDirectory(RunDirectory &&) noexcept = default;
    RunDirectory &operator=(RunDirectory &&) = delete;
    RunDirectory(const RunDirectory &) = delete;
    RunDirectory &operator=(const RunDirectory &) = delete;
    ~RunDirectory();

    [[nodiscard]] const std::string &path() const { return path_; }

  private:
    RunDirectory(std::string path, FileLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}
    std::string path_;
    FileLock lock_;
};

// Cleans up immediately what a killed launcher of this name left.
void keep_if_abandoned(const std::string &name);

// The parent of all run directories of this user; made if missing. Error: it exists but others own it or can access it.
base::Result<std::string> runtime_directory();
std::string runtime_directory_path();

// Makes the directory `name` in `parent` if it is missing, for a guest to write into. Returns its path without links. Error: it
// is a link, belongs to another user, or others could replace it. With `owner`, it becomes that user's.
base::Result<std::string> own_directory(const std::string &parent, const std::string &name,
                                        const std::optional<User> &owner = std::nullopt);
// The path it would have, with the same errors; makes nothing.
base::Result<std::string> own_directory_path(const std::string &parent, const std::string &name,
                                             const std::optional<User> &owner = std::nullopt);

struct Running {
    std::string name, path;
    long holder = 0;  // the launcher's PID
};
base::Result<std::vector<Running>> running_machines();

// Error: a launcher holds it (with its PID).
base::Result<> image_is_free(const std::string &path);

// Locks a disk image. The lock is beside the run directories and is named by the file's identity, because the image's own
// directory may not be writable.
base::Result<FileLock> lock_image(const std::string &path);

}  // namespace hostside

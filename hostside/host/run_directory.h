// The directory of one running machine: ${XDG_RUNTIME_DIR}/runvm/NAME, else /tmp/runvm-UID/NAME, mode 0700, with its sockets,
// its console's log, its xchg. Held by a lock for as long as the launcher lives; what a killed launcher left is kept as its
// last run (last_run.h) and swept when any machine is started next.
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
    // With `another`, a name that is taken becomes NAME-2 and so on: machines in different directories may have one name.
    // Error: a machine of this name runs (with its launcher's pid), or no place for it.
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

// What a killed launcher of this name left is swept now.
void keep_if_abandoned(const std::string &name);

// Where all of this user's are; made if it is not there. Error: it is there, and not ours alone.
base::Result<std::string> runtime_directory();
std::string runtime_directory_path();

// The directory `name` in `parent`, made if it is not there, for a guest to write into: its path without links. Error: it is a
// link, another user's, or others could put something else in its place. With an owner, it becomes that user's.
base::Result<std::string> own_directory(const std::string &parent, const std::string &name,
                                        const std::optional<User> &owner = std::nullopt);
// Where it would be, and whether it can be; makes nothing.
base::Result<std::string> own_directory_path(const std::string &parent, const std::string &name,
                                             const std::optional<User> &owner = std::nullopt);

struct Running {
    std::string name, path;
    long holder = 0;  // the launcher's pid
};
base::Result<std::vector<Running>> running_machines();

// Error: a launcher holds it, with its pid.
base::Result<> image_is_free(const std::string &path);

// Holds a disk image, beside the run directories and by the file's identity: the image's own directory may not be ours to write.
base::Result<FileLock> lock_image(const std::string &path);

}  // namespace hostside

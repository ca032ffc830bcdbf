// The folder of one running machine: ${XDG_RUNTIME_DIR:-/run/user/UID or /tmp}/runvm[-UID]/NAME, mode 0700, with its
// sockets, its console's log, its xchg. Held by a lock for as long as the launcher lives; what a killed launcher left is
// swept when the name, or any machine, is started next.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

class RunFolder {
  public:
    // With `another`, a name that is taken becomes NAME-2 and so on: machines in different folders may have one name.
    // Error: a machine of this name runs (with its launcher's pid), or no place for it.
    static base::Result<RunFolder> create(const std::string &name, bool another);
    RunFolder(RunFolder &&) noexcept = default;
    RunFolder &operator=(RunFolder &&) = delete;
    RunFolder(const RunFolder &) = delete;
    RunFolder &operator=(const RunFolder &) = delete;
    ~RunFolder();

    [[nodiscard]] const std::string &path() const { return path_; }

    // The lock's file says who holds it; call it again after a fork.
    base::Result<> write_holder() const;

  private:
    RunFolder(std::string path, base::Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
    std::string path_;
    base::Fd lock_;
};

// Where all of this user's are.
base::Result<std::string> runtime_folder();

struct Running {
    std::string name, path;
    long holder = 0;  // the launcher's pid
};
base::Result<std::vector<Running>> running_machines();

// Locks a file against another launcher until the descriptor is closed. Error: the holder's pid.
base::Result<base::Fd> lock_file(const std::string &path, const std::string &what);

}  // namespace hostside

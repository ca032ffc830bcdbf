#include "hostside/run_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "mounts/base/at.h"

namespace hostside {

using base::fail;
using base::Result;

Result<RunDirectory> RunDirectory::make(const std::string &given) {
    std::string path = given;
    if (given.empty()) {
        const char *parent = std::getenv("TMPDIR");
        path = std::string(parent != nullptr && *parent == '/' ? parent : "/tmp") + "/runvm.XXXXXX";
        if (::mkdtemp(path.data()) == nullptr) return fail(errno, "make a temporary folder", path);
    }
    RunDirectory directory(path, given.empty());
    if (auto made = base::make_directories_at(AT_FDCWD, directory.xchg()); !made) return std::unexpected(made.error());
    return directory;
}

RunDirectory::RunDirectory(RunDirectory &&other) noexcept
    : path_(std::move(other.path_)), own_(std::exchange(other.own_, false)) {}

RunDirectory::~RunDirectory() {
    // What the guest left behind is removed, never followed: remove_all does not go through symlinks.
    std::error_code error;
    if (own_) std::filesystem::remove_all(path_, error);
}

}  // namespace hostside

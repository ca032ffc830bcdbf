#include "unionfs/diff.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "mounts/base/at.h"
#include "unionfs/xattr.h"

namespace unionfs {

using base::Fd;
using base::Result;

namespace {

using Directories = std::vector<std::shared_ptr<Fd>>;

bool has_mark(int dir, const char *name, const std::string &mark, char value) {
    for (const char *prefix : {"trusted.overlay.", "user.overlay."})
        if (const std::string got = xattr_value(dir, name, prefix + mark); !got.empty() && (value == 0 || got[0] == value))
            return true;
    return false;
}

bool hides(int dir, const char *name, const struct stat &status) {
    if (S_ISCHR(status.st_mode)) return status.st_rdev == makedev(0, 0);
    return S_ISREG(status.st_mode) && status.st_size == 0 && get_xattr(dir, name, "user.overlay.whiteout", nullptr, 0) >= 0;
}

// The folders of that name that show through one another: anything else, and an opaque one, hides those further down.
Directories merged(const Directories &lowers, const char *name) {
    Directories found;
    for (const auto &lower : lowers) {
        auto fd = std::make_shared<Fd>(::openat(lower->get(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!*fd && errno == ENOENT) continue;
        if (!*fd) break;
        found.push_back(std::move(fd));
        if (has_mark(lower->get(), name, "opaque", 'y')) break;
    }
    return found;
}

struct Walk {
    std::vector<Difference> found;

    Result<> folder(int upper, const Directories &lowers, const std::string &path) {
        const std::unique_ptr<DIR, int (*)(DIR *)> entries(::fdopendir(::openat(upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
                                                           ::closedir);
        if (!entries) return base::fail(errno, "read", path);
        while (const dirent *entry = ::readdir(entries.get())) {
            const std::string name(entry->d_name);
            if (name == "." || name == "..") continue;
            if (auto result = one(upper, name, lowers, path.empty() ? name : path + "/" + name); !result) return result;
        }
        return {};
    }

    Result<> one(int upper, const std::string &name, const Directories &lowers, const std::string &path) {
        struct stat status{}, below{};
        if (::fstatat(upper, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return base::fail(errno, "stat", path);
        bool had = false;
        for (const auto &lower : lowers) {
            if (::fstatat(lower->get(), name.c_str(), &below, AT_SYMLINK_NOFOLLOW) < 0) continue;
            had = !hides(lower->get(), name.c_str(), below);
            break;
        }
        if (hides(upper, name.c_str(), status)) {
            if (had) found.push_back({Change::deleted, path, 0, 0});
            return {};
        }
        const bool both_folders = had && S_ISDIR(status.st_mode) && S_ISDIR(below.st_mode);
        const bool same_attributes =
            status.st_mode == below.st_mode && status.st_uid == below.st_uid && status.st_gid == below.st_gid;
        const bool opaque = S_ISDIR(status.st_mode) && has_mark(upper, name.c_str(), "opaque", 'y');
        if (!both_folders || !same_attributes || opaque)
            found.push_back({had ? Change::modified : Change::added, path, status.st_mode, status.st_size});
        if (!S_ISDIR(status.st_mode)) return {};
        auto inside = base::open_at(upper, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!inside) return std::unexpected(inside.error());
        return folder(inside->get(), opaque ? Directories{} : merged(lowers, name.c_str()), path);
    }
};

}  // namespace

Result<std::vector<Difference>> differences(const std::string &upper, const std::vector<std::string> &lowers) {
    auto top = base::open_at(AT_FDCWD, upper, O_RDONLY | O_DIRECTORY);
    if (!top) return std::unexpected(top.error());
    Directories beneath;
    for (const std::string &path : lowers) {
        auto fd = base::open_at(AT_FDCWD, path, O_PATH | O_DIRECTORY);
        if (!fd) return std::unexpected(fd.error());
        beneath.push_back(std::make_shared<Fd>(std::move(*fd)));
    }
    Walk walk;
    if (auto result = walk.folder(top->get(), beneath, ""); !result) return std::unexpected(result.error());
    std::ranges::sort(walk.found, {}, &Difference::path);
    return std::move(walk.found);
}

}  // namespace unionfs

#include "unionfs/command/diff.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <set>
#include <string_view>

#include "mounts/base/at.h"
#include "mounts/base/directory.h"
#include "unionfs/upper/marks.h"
#include "unionfs/upper/redirect.h"

namespace unionfs {

using base::Fd;
using base::Result;

namespace {

using Directories = std::vector<std::shared_ptr<Fd>>;

// An upper has marks of either kind (trusted or user), so both are read.
const std::array<Marks, 2> kinds{{{"trusted.overlay."}, {"user.overlay."}}};

std::string redirect_of(int dir, const char *name) {
    std::string value;
    for (const Marks &marks : kinds)
        if (marks.value(dir, name, "redirect", value) == 0 && !value.empty()) return value;
    return {};
}

bool is_opaque(int dir, const char *name) {
    return std::ranges::any_of(kinds, [&](const Marks &marks) {
        bool is = false;
        return marks.is_opaque(dir, name, is) == 0 && is;
    });
}

std::string joined(const std::string &path, const std::string &name) { return path.empty() ? name : path + "/" + name; }

bool hides(int dir, const char *name, const struct stat &status) {
    return std::ranges::any_of(kinds, [&](const Marks &marks) {
        bool is = false;
        return marks.is_whiteout(dir, name, status, is) == 0 && is;
    });
}

// The directories of that name that show through one another: anything else, and an opaque one, hides those further down.
Directories merged(const Directories &lowers, const char *name) {
    Directories found;
    for (const auto &lower : lowers) {
        auto fd = std::make_shared<Fd>(::openat(lower->get(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!*fd && errno == ENOENT) continue;
        if (!*fd) break;
        found.push_back(std::move(fd));
        if (is_opaque(lower->get(), name)) break;
    }
    return found;
}

// The lowers' directories at a path of a redirect.
Directories at_path(Directories lowers, std::string_view path) {
    while (!path.empty()) {
        const size_t end = std::min(path.find('/'), path.size());
        if (end != 0) lowers = merged(lowers, std::string(path.substr(0, end)).c_str());
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    return lowers;
}

// A directory of the union: where it is, and what of the lowers shows in it.
struct Directory {
    std::string path;
    Directories lowers;
    std::string lower_path;  // by which the lowers have it
};

struct Walk {
    Directories roots;
    std::vector<Difference> found{};

    Result<> directory(int upper, const Directory &at) {
        const auto names = base::names_in(upper, at.path);
        if (!names) return std::unexpected(names.error());
        for (const std::string &name : *names)
            if (auto result = one(upper, name, at); !result) return result;
        return {};
    }

    Result<> one(int upper, const std::string &name, const Directory &parent) {
        Directory at{.path = joined(parent.path, name), .lowers = {}, .lower_path = joined(parent.lower_path, name)};
        struct stat status{}, below{};
        if (::fstatat(upper, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return base::fail(errno, "stat", at.path);
        bool had = false;
        for (const auto &lower : parent.lowers) {
            if (::fstatat(lower->get(), name.c_str(), &below, AT_SYMLINK_NOFOLLOW) < 0) continue;
            had = !hides(lower->get(), name.c_str(), below);
            break;
        }
        if (hides(upper, name.c_str(), status)) {
            if (had) found.push_back({Change::deleted, at.path, 0, 0, at.lower_path});
            return {};
        }
        const bool opaque = S_ISDIR(status.st_mode) && is_opaque(upper, name.c_str());
        if (const std::string to = opaque ? std::string{} : redirect_of(upper, name.c_str()); !to.empty() && !redirect_names(to))
            return base::fail(EINVAL, "redirect", at.path);
        const bool moved = S_ISDIR(status.st_mode) && !opaque && look_where_it_was(upper, name, parent, at);
        const bool both_directories = had && S_ISDIR(status.st_mode) && S_ISDIR(below.st_mode);
        const bool same_attributes =
            status.st_mode == below.st_mode && status.st_uid == below.st_uid && status.st_gid == below.st_gid;
        if (moved)
            found.push_back({Change::moved, at.path, status.st_mode, status.st_size, at.lower_path});
        else if (!both_directories || !same_attributes || opaque)
            found.push_back({had ? Change::modified : Change::added, at.path, status.st_mode, status.st_size});
        if (!S_ISDIR(status.st_mode)) return {};
        if (!moved && !opaque) at.lowers = merged(parent.lowers, name.c_str());
        auto inside = base::open_at(upper, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!inside) return std::unexpected(inside.error());
        return directory(inside->get(), at);
    }

    // Follows a redirect: a name beside, or a path from the roots. False: there is none, or it leads to where the directory is.
    bool look_where_it_was(int upper, const std::string &name, const Directory &parent, Directory &at) const {
        const std::string target = redirect_of(upper, name.c_str());
        if (target.empty()) return false;
        const bool from_roots = target.starts_with('/');
        const std::string path = from_roots ? target.substr(1) : joined(parent.lower_path, target);
        if (path == at.lower_path && parent.path == parent.lower_path) return false;
        at.lowers = from_roots ? at_path(roots, path) : merged(parent.lowers, target.c_str());
        at.lower_path = path;
        return true;
    }

    // The whiteout where a moved directory was says nothing new.
    void drop_old_places() {
        std::set<std::string_view> old_places;
        for (const Difference &difference : found)
            if (difference.change == Change::moved) old_places.insert(difference.from);
        std::vector<Difference> left;
        for (Difference &difference : found)
            if (difference.change != Change::deleted || !old_places.contains(difference.from)) left.push_back(difference);
        found = std::move(left);
        for (Difference &difference : found)
            if (difference.change == Change::deleted) difference.from.clear();
    }
};

}  // namespace

Result<std::vector<Difference>> differences(const std::string &upper, const std::vector<std::string> &lowers) {
    auto top = base::open_at(AT_FDCWD, upper, O_RDONLY | O_DIRECTORY);
    if (!top) return std::unexpected(top.error());
    Walk walk;
    for (const std::string &path : lowers) {
        auto fd = base::open_at(AT_FDCWD, path, O_PATH | O_DIRECTORY);
        if (!fd) return std::unexpected(fd.error());
        walk.roots.push_back(std::make_shared<Fd>(std::move(*fd)));
    }
    if (auto result = walk.directory(top->get(), {.path = {}, .lowers = walk.roots, .lower_path = {}}); !result)
        return std::unexpected(result.error());
    walk.drop_old_places();
    std::ranges::sort(walk.found, {}, &Difference::path);
    return std::move(walk.found);
}

}  // namespace unionfs

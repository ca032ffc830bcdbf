#include "unionfs/command/diff.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <set>
#include <string_view>
#include <utility>

#include "mounts/base/at.h"
#include "mounts/base/directory.h"
#include "unionfs/command/layer_walk.h"
#include "unionfs/upper/redirect.h"

namespace unionfs {

using base::Result;

namespace {

using Directories = std::vector<Place *>;

// A directory of the union: where it is in the upper, and which lower directories show in it.
struct Directory {
    Place *upper;
    std::string path;
    Directories lowers;
    std::string lower_path;  // its path in the lowers
};

struct Walk {
    const Marks marks;
    Directories roots{};
    std::vector<Difference> found{};
    std::vector<Directory> left{};
    Places places{};

    // Uses a list of directories, because recursion would cost stack.
    Result<> run() {
        while (!left.empty()) {
            const Directory at = std::move(left.back());
            left.pop_back();
            const auto upper = places.open(*at.upper);
            if (!upper) return std::unexpected(upper.error());
            const auto names = base::names_in((*upper)->get(), at.path);
            if (!names) return std::unexpected(names.error());
            for (const std::string &name : *names)
                if (auto result = one((*upper)->get(), name, at); !result) return result;
        }
        return {};
    }

    // Whether the lowers show that name. `below` receives its status there.
    Result<bool> look_below(const Directory &parent, const std::string &name, struct stat &below) {
        for (Place *lower : parent.lowers) {
            auto fd = places.open(*lower);
            if (!fd) return std::unexpected(fd.error());
            if (::fstatat((*fd)->get(), name.c_str(), &below, AT_SYMLINK_NOFOLLOW) < 0) continue;
            return !hides(marks, (*fd)->get(), name.c_str(), below);
        }
        return false;
    }

    Result<> one(int upper, const std::string &name, const Directory &parent) {
        Directory at{
            .upper = nullptr, .path = joined(parent.path, name), .lowers = {}, .lower_path = joined(parent.lower_path, name)};
        struct stat status{}, below{};
        if (::fstatat(upper, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return base::fail(errno, "stat", at.path);
        const auto had = look_below(parent, name, below);
        if (!had) return std::unexpected(had.error());
        if (hides(marks, upper, name.c_str(), status)) {
            if (*had) found.push_back({Change::deleted, at.path, 0, 0, at.lower_path});
            return {};
        }
        const bool opaque = S_ISDIR(status.st_mode) && is_opaque(marks, upper, name.c_str());
        if (const std::string to = opaque ? std::string{} : redirect_of(marks, upper, name.c_str());
            !to.empty() && !redirect_names(to))
            return base::fail(EINVAL, "redirect", at.path);
        const auto moved = look_where_it_was(upper, name, parent, S_ISDIR(status.st_mode) && !opaque, at);
        if (!moved) return std::unexpected(moved.error());
        const bool both_directories = *had && S_ISDIR(status.st_mode) && S_ISDIR(below.st_mode);
        const bool same_attributes =
            status.st_mode == below.st_mode && status.st_uid == below.st_uid && status.st_gid == below.st_gid;
        if (*moved)
            found.push_back({Change::moved, at.path, status.st_mode, status.st_size, at.lower_path});
        else if (!both_directories || !same_attributes || opaque)
            found.push_back({*had ? Change::modified : Change::added, at.path, status.st_mode, status.st_size});
        if (!S_ISDIR(status.st_mode)) return {};
        if (!*moved && !opaque)
            if (auto result = merge(parent.lowers, name, at.lowers); !result) return result;
        at.upper = &places.inside(*parent.upper, name);
        left.push_back(std::move(at));
        return {};
    }

    // Finds the lower directories of that name that merge. An opaque one hides those further down, and so does any other
    // object.
    Result<> merge(const Directories &lowers, const std::string &name, Directories &merged) {
        merged.clear();
        for (Place *lower : lowers) {
            auto fd = places.open(*lower);
            if (!fd) return std::unexpected(fd.error());
            Place &inside = places.inside(*lower, name);
            const auto opened = places.open(inside);
            if (!opened && opened.error().code == ENOENT) continue;
            if (!opened) break;
            merged.push_back(&inside);
            if (is_opaque(marks, (*fd)->get(), name.c_str())) break;
        }
        return {};
    }

    // Follows a redirect: a name in the same directory, or a path from the roots. Returns false if there is none, or if it
    // leads to where the directory is.
    Result<bool> look_where_it_was(int upper, const std::string &name, const Directory &parent, bool may_move, Directory &at) {
        const std::string target = may_move ? redirect_of(marks, upper, name.c_str()) : std::string{};
        if (target.empty()) return false;
        const bool from_roots = target.starts_with('/');
        const std::string path = from_roots ? target.substr(1) : joined(parent.lower_path, target);
        if (path == at.lower_path && parent.path == parent.lower_path) return false;
        at.lowers = from_roots ? roots : parent.lowers;
        at.lower_path = path;
        for (const auto part : std::views::split(from_roots ? path : target, '/')) {
            const std::string next(part.begin(), part.end());
            if (next.empty()) continue;
            if (auto result = merge(Directories(at.lowers), next, at.lowers); !result) return std::unexpected(result.error());
        }
        return true;
    }

    // Drops the whiteouts that moved directories left behind, because they say nothing new.
    void drop_old_places() {
        std::set<std::string_view> old_places;
        for (const Difference &difference : found)
            if (difference.change == Change::moved) old_places.insert(difference.from);
        std::vector<Difference> kept;
        for (Difference &difference : found)
            if (difference.change != Change::deleted || !old_places.contains(difference.from)) kept.push_back(difference);
        found = std::move(kept);
        for (Difference &difference : found)
            if (difference.change == Change::deleted) difference.from.clear();
    }
};

}  // namespace

Result<std::vector<Difference>> differences(const std::string &upper, const std::vector<std::string> &lowers) {
    auto top = base::open_at(AT_FDCWD, upper, O_RDONLY | O_DIRECTORY);
    if (!top) return std::unexpected(top.error());
    auto marks = marks_of(*top);
    if (!marks) return std::unexpected(marks.error());
    Walk walk{.marks = std::move(*marks)};
    for (const std::string &path : lowers) {
        auto fd = base::open_at(AT_FDCWD, path, O_PATH | O_DIRECTORY);
        if (!fd) return std::unexpected(fd.error());
        walk.roots.push_back(&walk.places.root(std::move(*fd)));
    }
    walk.left.push_back({.upper = &walk.places.root(std::move(*top)), .path = {}, .lowers = walk.roots, .lower_path = {}});
    if (auto result = walk.run(); !result) return std::unexpected(result.error());
    walk.drop_old_places();
    std::ranges::sort(walk.found, {}, &Difference::path);
    return std::move(walk.found);
}

}  // namespace unionfs

#include "unionfs/command/apply.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <map>
#include <ranges>
#include <set>
#include <utility>
#include <vector>

#include "mounts/base/at.h"
#include "mounts/base/directory.h"
#include "unionfs/command/apply_stage.h"
#include "unionfs/command/diff.h"
#include "unionfs/command/layer_walk.h"
#include "unionfs/upper/copy_data.h"
#include "unionfs/upper/marks.h"
#include "unionfs/upper/workdir.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

namespace {

using base::fail;
using base::Fd;
using base::Result;

constexpr const char *applying = "apply";
constexpr const char *prepared = "new";  // in the stage

// A mark, what a later union could take for one, or what belongs to this host's security policy and not to the tree.
bool stays_behind(const std::string &attribute) {
    return attribute == "security.selinux" || attribute.starts_with("trusted.overlay.") || attribute.starts_with("user.overlay.");
}

Result<> give_extended(int from, const char *name, int to, const std::string &path) {
    std::vector<std::string> wanted, there;
    int error = xattr_names(from, name, wanted);
    if (error == 0) error = xattr_names(to, "", there);
    for (const std::string &attribute : there) {
        if (error != 0) break;
        if (!stays_behind(attribute) && !std::ranges::contains(wanted, attribute))
            error = -remove_xattr(to, "", attribute.c_str());
    }
    for (const std::string &attribute : wanted) {
        if (error != 0) break;
        if (stays_behind(attribute)) continue;
        std::string value;
        error = xattr_value(from, name, attribute, value);
        if (error == ENODATA)
            error = 0;
        else if (error == 0)
            error = -set_xattr(to, "", attribute.c_str(), value.data(), value.size());
        if (error != 0) return fail(error, "copy attribute " + attribute, path);
    }
    return error == 0 ? Result<>{} : fail(error, "copy attributes", path);
}

// Owner first, because a change of owner takes set-ID bits and capabilities away. `to` may be O_PATH.
Result<> give_attributes(int from, const char *name, const struct stat &status, int to, const std::string &path) {
    struct stat now{};
    if (::fstat(to, &now) < 0) return fail(errno, applying, path);
    if ((now.st_uid != status.st_uid || now.st_gid != status.st_gid) &&
        ::fchownat(to, "", status.st_uid, status.st_gid, AT_EMPTY_PATH) < 0)
        return fail(errno, "change owner", path);
    if (auto given = give_extended(from, name, to, path); !given) return given;
    if (!S_ISLNK(status.st_mode))
        if (const int error = set_mode(to, status.st_mode & 07777); error != 0) return fail(error, "change mode", path);
    const timespec times[2] = {status.st_atim, status.st_mtim};
    const int error = set_times(to, times);
    return error == 0 ? Result<>{} : fail(error, "set times", path);
}

// A directory of both trees. `pure`: nothing of the lower shows in it.
struct At {
    Place *upper = nullptr, *directory = nullptr;
    std::string path{};
    bool pure = false;
};

class Apply {
  public:
    Apply(Fd upper, Fd directory, Marks marks, ApplyStage &stage, const std::vector<Move> &moves)
        : marks_(std::move(marks)), stage_(stage) {
        for (size_t i = 0; i < moves.size(); ++i) moves_.emplace(moves[i].to, i);
        root_ = {&places_.root(std::move(upper)), &places_.root(std::move(directory)), "", false};
        left_.push_back(root_);
    }

    // Uses a list of directories, because recursion would cost stack.
    Result<Applied> run() {
        while (!left_.empty()) {
            done_.push_back(left_.back());
            left_.pop_back();
            if (auto merged = merge(done_.back()); !merged) return std::unexpected(merged.error());
        }
        // Last, and from within, because changes in a directory change its times.
        for (const At &at : std::views::reverse(done_))
            if (auto given = finish_directory(at); !given) return std::unexpected(given.error());
        return applied_;
    }

    Result<> finish_directory(const At &at) {
        auto from = places_.open(*at.upper);
        auto to = places_.open(*at.directory);
        if (!from || !to) return std::unexpected(from ? to.error() : from.error());
        struct stat status{};
        if (::fstat((*from)->get(), &status) < 0) return fail(errno, applying, at.path);
        return give_attributes((*from)->get(), "", status, (*to)->get(), at.path);
    }

    // Its time changes when the stage goes.
    Result<> finish_root() { return finish_directory(root_); }

  private:
    // A file system that is mounted inside is none of the lower's.
    Result<> check_same_file_system(int directory, const At &at) {
        struct stat status{};
        if (::fstat(directory, &status) < 0) return fail(errno, applying, at.path);
        if (at.path.empty()) device_ = status.st_dev;
        if (status.st_dev != device_) return fail(EXDEV, applying, at.path, "another file system is mounted there");
        // We may have to change a directory that even its owner may not.
        if (::geteuid() != 0 && (status.st_mode & S_IRWXU) != S_IRWXU)
            if (const int error = set_mode(directory, (status.st_mode & 07777) | S_IRWXU); error != 0)
                return fail(error, "change mode", at.path);
        return {};
    }

    Result<> merge(const At at) {
        const auto upper = places_.open(*at.upper), directory = places_.open(*at.directory);
        if (!upper || !directory) return std::unexpected(upper ? directory.error() : upper.error());
        if (auto same = check_same_file_system((*directory)->get(), at); !same) return same;
        const auto names = base::names_in((*upper)->get(), at.path);
        if (!names) return std::unexpected(names.error());
        if (at.pure)
            if (auto removed = remove_others((*directory)->get(), *names, at.path); !removed) return removed;
        for (const std::string &name : *names)
            if (auto one = apply_name((*upper)->get(), (*directory)->get(), name, at); !one) return one;
        return {};
    }

    // Of a directory that hides the lower's: only the upper's names remain. Removes one by one what an earlier run did not make.
    Result<> remove_others(int directory, const base::Names &names, const std::string &path) {
        const std::set<std::string_view> wanted(names.begin(), names.end());
        const auto there = base::names_in(directory, path);
        if (!there) return std::unexpected(there.error());
        for (const std::string &name : *there) {
            if (wanted.contains(name) || (path.empty() && name.starts_with(apply_stage_name))) continue;
            if (auto removed = stage_.remove(directory, name); !removed) return removed;
            ++applied_.removed;
        }
        return {};
    }

    Result<> apply_name(int upper, int directory, const std::string &name, const At &parent) {
        const std::string path = joined(parent.path, name);
        struct stat status{};
        if (::fstatat(upper, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return fail(errno, applying, path);
        // Unlike what diff.cc may do, an apply must not take an unreadable mark for none.
        bool whiteout = false;
        if (const int error = marks_.is_whiteout(upper, name.c_str(), status, whiteout); error != 0)
            return fail(error, "read marks", path);
        if (whiteout) {
            ++applied_.removed;
            return stage_.remove(directory, name);
        }
        ++applied_.objects;
        return S_ISDIR(status.st_mode) ? enter(upper, directory, name, parent) : copy(upper, directory, name, status, parent);
    }

    Result<> enter(int upper, int directory, const std::string &name, const At &parent) {
        At at{&places_.inside(*parent.upper, name), &places_.inside(*parent.directory, name), joined(parent.path, name),
              parent.pure};
        bool opaque = false;
        if (const int error = marks_.is_opaque(upper, name.c_str(), opaque); error != 0)
            return fail(error, "read marks", at.path);
        at.pure = at.pure || opaque;
        if (const auto move = moves_.find(at.path); move != moves_.end()) {
            at.pure = false;
            const auto held = stage_.holds(move->second);
            if (!held) return std::unexpected(held.error());
            if (*held)
                if (auto placed = stage_.place(move->second, directory, name); !placed) return placed;
        }
        struct stat status{};
        const bool there = ::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
        if (!there && errno != ENOENT) return fail(errno, applying, at.path);
        if (there && !S_ISDIR(status.st_mode))
            if (auto removed = stage_.remove(directory, name); !removed) return removed;
        if (!(there && S_ISDIR(status.st_mode)) && ::mkdirat(directory, name.c_str(), 0700) < 0)
            return fail(errno, applying, at.path);
        left_.push_back(std::move(at));
        return {};
    }

    // Prepares the object in the stage, so that its name changes in one step.
    Result<> copy(int upper, int directory, const std::string &name, const struct stat &status, const At &parent) {
        const std::string path = joined(parent.path, name);
        (void)::unlinkat(stage_.fd(), prepared, 0);  // of an interrupted run
        const std::pair key{status.st_dev, status.st_ino};
        const auto first = status.st_nlink > 1 ? first_names_.find(key) : first_names_.end();
        if (first != first_names_.end()) {
            const auto place = places_.open(*first->second.first);
            if (!place) return std::unexpected(place.error());
            if (::linkat((*place)->get(), first->second.second.c_str(), stage_.fd(), prepared, 0) < 0)
                return fail(errno, applying, path);
        } else {
            if (auto made = prepare(upper, name, status, path); !made) return made;
            if (status.st_nlink > 1) first_names_.emplace(key, std::pair{parent.directory, name});
        }
        struct stat before{};
        if (::fstatat(directory, name.c_str(), &before, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(before.st_mode))
            if (auto removed = stage_.remove(directory, name); !removed) return removed;
        if (::renameat(stage_.fd(), prepared, directory, name.c_str()) < 0) return fail(errno, applying, path);
        (void)::unlinkat(stage_.fd(), prepared, 0);  // still there if both are names of one file (rename(2))
        return {};
    }

    Result<> prepare(int upper, const std::string &name, const struct stat &status, const std::string &path) {
        if (S_ISREG(status.st_mode)) {
            if (auto copied = copy_file(upper, name, status, path); !copied) return copied;
        } else if (S_ISLNK(status.st_mode)) {
            std::string target(PATH_MAX, '\0');
            const ssize_t n = ::readlinkat(upper, name.c_str(), target.data(), target.size());
            if (n < 0) return fail(errno, "read link", path);
            target.resize(static_cast<size_t>(n));
            if (::symlinkat(target.c_str(), stage_.fd(), prepared) < 0) return fail(errno, "make link", path);
        } else if (::mknodat(stage_.fd(), prepared, (status.st_mode & S_IFMT) | 0600, status.st_rdev) < 0) {
            return fail(errno, "make node", path);
        }
        auto made = base::open_at(stage_.fd(), prepared, O_PATH | O_NOFOLLOW);
        if (!made) return std::unexpected(made.error());
        return give_attributes(upper, name.c_str(), status, made->get(), path);
    }

    Result<> copy_file(int upper, const std::string &name, const struct stat &status, const std::string &path) {
        const Fd from = open_inside(upper, name.c_str(), O_RDONLY | O_NONBLOCK);
        struct stat opened{};
        if (!from || ::fstat(from.get(), &opened) < 0) return fail(errno, "open", path);
        if (opened.st_dev != status.st_dev || opened.st_ino != status.st_ino)
            return fail(ESTALE, "open", path, "it was replaced");
        if (const int error = marks_.check_has_data(from.get()); error != 0)
            return fail(error, "read", path, "overlayfs left its data in the lower (metacopy)");
        auto to = base::open_at(stage_.fd(), prepared, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (!to) return std::unexpected(to.error());
        const bool has_holes = opened.st_blocks < (opened.st_size + 511) / 512;
        const int error = copy_data(from.get(), to->get(), opened.st_size, has_holes);
        return error == 0 ? Result<>{} : fail(error, "copy", path);
    }

    Marks marks_;
    ApplyStage &stage_;
    Places places_;
    At root_{};
    std::vector<At> left_, done_;
    std::map<std::string, size_t> moves_;                                             // by new path
    std::map<std::pair<dev_t, ino_t>, std::pair<Place *, std::string>> first_names_;  // of files with several names
    dev_t device_ = 0;
    Applied applied_;
};

bool is_inside(const std::string &path, const std::string &directory) {
    return path == directory || directory == "/" || path.starts_with(directory + "/");
}

// Its database would not know of the change.
Result<> check_places(const Fd &upper, const Fd &directory) {
    const auto from = base::path_of(upper.get(), "upper"), to = base::path_of(directory.get(), "directory");
    if (!from || !to) return std::unexpected(from ? to.error() : from.error());
    if (is_inside(*from, *to) || is_inside(*to, *from))
        return fail(EINVAL, applying, *to, "the upper and this directory must not contain each other");
    const Fd store(::open("/nix/store", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const auto its_path = store ? base::path_of(store.get(), "/nix/store").value_or("/nix/store") : std::string("/nix/store");
    struct stat host{}, ours{};
    const bool same = store && ::fstat(store.get(), &host) == 0 && ::fstat(directory.get(), &ours) == 0 &&
                      host.st_dev == ours.st_dev && host.st_ino == ours.st_ino;
    for (const std::string &path : {its_path, std::string("/nix/store")})
        if (same || is_inside(*to, path) || is_inside(path, *to))
            return fail(EPERM, applying, *to,
                        "this is the host's Nix store, and its database would not know; `runvm commit` adds paths to it");
    return {};
}

}  // namespace

Result<Applied> apply_upper(const std::string &upper, const std::string &directory) {
    auto from = base::open_at(AT_FDCWD, upper, O_RDONLY | O_DIRECTORY);
    if (!from) return std::unexpected(from.error());
    auto to = base::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    if (!to) return std::unexpected(to.error());
    if (auto good = check_places(*from, *to); !good) return std::unexpected(good.error());
    struct stat status{};
    if (::fstatat(from->get(), apply_stage_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        return fail(EEXIST, applying, apply_stage_name, "the upper has this name, which is apply's own");
    if (::fstat(from->get(), &status) < 0) return fail(errno, applying, upper);
    auto marks = marks_of(*from);
    if (!marks) return std::unexpected(marks.error());
    auto found = differences(upper, {directory});
    if (!found) return std::unexpected(found.error());
    std::vector<Move> moves;
    for (Difference &difference : *found)
        if (difference.change == Change::moved) moves.push_back({std::move(difference.from), std::move(difference.path)});
    auto stage = ApplyStage::open(to->get(), moves, status.st_ino);
    if (!stage) return std::unexpected(stage.error());
    if (auto taken = stage->take_out(); !taken) return std::unexpected(taken.error());
    auto root = base::open_at(to->get(), ".", O_RDONLY | O_DIRECTORY);
    if (!root) return std::unexpected(root.error());
    Apply apply(std::move(*from), std::move(*root), std::move(*marks), *stage, moves);
    auto applied = stage->is_complete() ? Result<Applied>(Applied{}) : apply.run();
    if (!applied) return applied;
    if (auto finished = stage->finish(); !finished) return std::unexpected(finished.error());
    if (auto given = apply.finish_root(); !given) return std::unexpected(given.error());
    applied->resumed = stage->resumed();
    return applied;
}

}  // namespace unionfs

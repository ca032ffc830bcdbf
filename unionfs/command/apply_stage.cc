#include "unionfs/command/apply_stage.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <utility>

#include "mounts/base/at.h"
#include "mounts/base/empty_directory.h"

namespace unionfs {

namespace {

using base::fail;
using base::Fd;
using base::Result;

constexpr const char *staging = "apply";
constexpr const char *journal_name = "journal", *new_journal = "journal.new";
constexpr const char *phase_take = "take", *phase_place = "place";
constexpr size_t most_journal_bytes = size_t{64} << 20;

std::string name_of_move(size_t move) { return "move-" + std::to_string(move); }

int rename_new(int from_dir, const std::string &from, int to_dir, const std::string &to) {
    return ::syscall(SYS_renameat2, from_dir, from.c_str(), to_dir, to.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
}

// The directory that holds `path`, and the path's last name.
Result<std::pair<Fd, std::string>> parent_of(int root, const std::string &path) {
    const size_t slash = path.rfind('/');
    auto parent = base::open_beneath(root, slash == std::string::npos ? "." : path.substr(0, slash), O_PATH | O_DIRECTORY);
    if (!parent) return fail(parent.error().code, staging, path);
    return std::pair{std::move(*parent), path.substr(slash == std::string::npos ? 0 : slash + 1)};
}

}  // namespace

std::string ApplyStage::journal(const char *phase) const {
    std::string text = "stage1 union apply 1\nphase ";
    text.append(phase).append("\nupper ").append(std::to_string(upper_)) += '\n';
    for (const auto &[from, to] : moves_) text.append(from).append(1, '\0').append(to).append(1, '\0');
    return text;
}

Result<> ApplyStage::write_journal(const char *phase) {
    (void)::unlinkat(fd(), new_journal, 0);  // of an interrupted run
    auto file = base::open_at(fd(), new_journal, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (!file) return std::unexpected(file.error());
    if (auto written = base::write_all(file->get(), journal(phase), new_journal); !written) return written;
    if (::fsync(file->get()) < 0) return fail(errno, staging, new_journal);
    if (::renameat(fd(), new_journal, fd(), journal_name) < 0) return fail(errno, staging, journal_name);
    const Fd stage(::openat(fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
        above(::openat(directory_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!stage || !above || ::fsync(stage.get()) < 0 || ::fsync(above.get()) < 0) return fail(errno, staging, journal_name);
    return {};
}

Result<> ApplyStage::check_sources() const {
    for (const auto &[from, to] : moves_) {
        auto parent = parent_of(directory_, from);
        struct stat status{};
        const bool there = parent && ::fstatat(parent->first.get(), parent->second.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
        const int error = parent ? errno : parent.error().code;
        if (!there)
            return fail(error, staging, from,
                        "the upper moved this directory; is DIR a copy of the lower, or was it applied already?");
        if (!S_ISDIR(status.st_mode)) return fail(ENOTDIR, staging, from, "the upper moved a directory of this name");
    }
    return {};
}

// The upper's number is in the name, because it is all that is left at last.
std::string ApplyStage::done_name() const { return std::string(apply_stage_name) + ".done-" + std::to_string(upper_); }

Result<> ApplyStage::open_stage(const std::string &name) {
    struct stat status{};
    auto opened = base::open_at(directory_, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!opened) return std::unexpected(opened.error());
    stage_ = std::move(*opened);
    if (::fstat(fd(), &status) < 0) return fail(errno, staging, name);
    if (status.st_uid != ::geteuid() || (status.st_mode & 077) != 0)
        return fail(EPERM, staging, name, "it is not ours alone; remove it");
    if (::flock(fd(), LOCK_EX | LOCK_NB) < 0) return fail(errno, staging, name, "another process applies to this directory");
    return {};
}

Result<> ApplyStage::begin() {
    struct stat status{};
    if (auto done = open_stage(done_name()); done || done.error().code != ENOENT) {
        complete_ = resumed_ = done.has_value();
        return done;
    }
    const bool there = ::fstatat(directory_, apply_stage_name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (!there && errno != ENOENT) return fail(errno, staging, apply_stage_name);
    if (!there)
        if (auto sources = check_sources(); !sources) return sources;
    if (!there && ::mkdirat(directory_, apply_stage_name, 0700) < 0) return fail(errno, staging, apply_stage_name);
    if (auto opened = open_stage(apply_stage_name); !opened) return opened;
    auto file = base::open_at(fd(), journal_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file && file.error().code != ENOENT) return std::unexpected(file.error());
    if (!file) {  // a run was interrupted before it did anything
        if (auto sources = there ? check_sources() : Result<>{}; !sources) return sources;
        return write_journal(phase_take);
    }
    if (::fstat(file->get(), &status) < 0 || !S_ISREG(status.st_mode)) return fail(EINVAL, staging, journal_name);
    const auto text = base::read_all(file->get(), journal_name, most_journal_bytes);
    if (!text) return std::unexpected(text.error());
    resumed_ = true;
    taken_out_ = *text == journal(phase_place);
    if (taken_out_ || *text == journal(phase_take)) return {};
    return fail(EBUSY, staging, apply_stage_name,
                "another upper was applied to this directory and interrupted; finish that first");
}

Result<ApplyStage> ApplyStage::open(int directory, std::vector<Move> moves, ino_t upper) {
    ApplyStage stage(directory, std::move(moves), upper);
    if (auto begun = stage.begin(); !begun) return std::unexpected(begun.error());
    return stage;
}

Result<bool> ApplyStage::holds(size_t move) const {
    struct stat status{};
    const std::string name = name_of_move(move);
    if (::fstatat(fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return true;
    return errno == ENOENT ? Result<bool>(false) : fail(errno, staging, name);
}

// The innermost first, so that each is still where the lower had it.
Result<> ApplyStage::take_out() {
    if (taken_out_ || complete_) return {};
    std::vector<size_t> order(moves_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::stable_sort(order, std::ranges::greater(), [&](size_t i) { return std::ranges::count(moves_[i].from, '/'); });
    for (const size_t i : order) {
        const auto held = holds(i);
        if (!held) return std::unexpected(held.error());
        if (*held) continue;
        auto parent = parent_of(directory_, moves_[i].from);
        if (!parent) return std::unexpected(parent.error());
        if (const int error = rename_new(parent->first.get(), parent->second, fd(), name_of_move(i)); error != 0)
            return fail(error, staging, moves_[i].from);
    }
    if (::syncfs(fd()) < 0) return fail(errno, staging, apply_stage_name);
    taken_out_ = true;
    return write_journal(phase_place);
}

Result<> ApplyStage::place(size_t move, int directory, const std::string &name) {
    if (auto removed = remove(directory, name); !removed) return removed;
    const int error = rename_new(fd(), name_of_move(move), directory, name);
    return error == 0 ? Result<>{} : fail(error, staging, moves_[move].to);
}

Result<> ApplyStage::remove(int directory, const std::string &name) {
    if (::unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return {};
    if (errno != EISDIR) return fail(errno, staging, name);
    for (;; ++removed_) {
        const int error = rename_new(directory, name, fd(), "removed-" + std::to_string(removed_));
        if (error == 0) return {};
        if (error != EEXIST) return fail(error, staging, name);
    }
}

Result<> ApplyStage::finish() {
    if (::syncfs(fd()) < 0) return fail(errno, staging, apply_stage_name);
    const std::string done = done_name();
    if (!complete_ && ::renameat(directory_, apply_stage_name, directory_, done.c_str()) < 0)
        return fail(errno, staging, apply_stage_name);
    if (auto emptied = base::empty_directory(fd(), done); !emptied) return emptied;
    if (::unlinkat(directory_, done.c_str(), AT_REMOVEDIR) < 0) return fail(errno, staging, done);
    return ::syncfs(directory_) == 0 ? Result<>{} : fail(errno, staging, done);
}

}  // namespace unionfs

#include "stage1/steps/rollback.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <format>

#include "mounts/base/at.h"
#include "mounts/base/empty_directory.h"
#include "stage1/base/rollback_mark.h"
#include "stage1/nixdb/gone_paths.h"

namespace stage1 {

namespace {

using base::fail;
using base::Result;

constexpr std::string_view rolling_back = "roll back";
constexpr const char *rolled_back = "rolled-back";

// Uses one rename, so that no boot sees a partial state. An existing entry with this number is from an interrupted boot.
Result<> move_away(int place, int heap, const std::string &name) {
    constexpr int most = 1000;
    for (int i = 0; i < most; ++i) {
        if (::renameat(place, name.c_str(), heap, std::format("{}-{}", name, i).c_str()) == 0) {
            if (::mkdirat(place, name.c_str(), 0755) < 0) return fail(errno, rolling_back, name);
            return {};
        }
        if (errno != ENOTEMPTY && errno != EEXIST) return fail(errno, rolling_back, name);
    }
    return fail(EEXIST, rolling_back, name);
}

// If lower and upper are on one file system, no store is mounted on the lower, and nothing follows from missing paths.
bool is_other_file_system(int lower, int place) {
    struct stat below{}, above{};
    return ::fstat(lower, &below) == 0 && ::fstat(place, &above) == 0 && below.st_dev != above.st_dev;
}

Result<std::string> drop_rows(const mounts::MountUnion &step, int place) {
    const auto root = base::open_at(AT_FDCWD, step.root.empty() ? "/" : step.root, O_PATH | O_DIRECTORY);
    const auto lower = base::open_at(AT_FDCWD, step.lower, O_PATH | O_DIRECTORY);
    if (!root || !lower) return std::unexpected(root ? lower.error() : root.error());
    if (!is_other_file_system(lower->get(), place)) return std::string("the database is left, because no store is mounted below");
    const auto dropped = nixdb::drop_gone_paths(root->get(), lower->get());
    // A database that only Nix can repair is no reason to boot with the unwanted upper.
    if (!dropped) return base::message(dropped.error());
    return std::format("{} paths are no longer registered", dropped->size());
}

Result<> empty_heap(int place, int heap) {
    if (auto emptied = base::empty_directory(heap, rolled_back); !emptied) return emptied;
    return ::unlinkat(place, rolled_back, AT_REMOVEDIR) == 0 ? Result<>{} : fail(errno, rolling_back, rolled_back);
}

}  // namespace

Result<std::string> roll_back(const mounts::MountUnion &step) {
    const auto place = base::open_at(AT_FDCWD, step.upper.substr(0, step.upper.rfind('/')), O_RDONLY | O_DIRECTORY);
    if (!place) return std::unexpected(place.error());
    struct stat st{};
    if (::fstatat(place->get(), rollback_mark, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT) return std::string{};
        return fail(errno, rolling_back, rollback_mark);
    }
    if (::mkdirat(place->get(), rolled_back, 0700) < 0 && errno != EEXIST) return fail(errno, rolling_back, rolled_back);
    const auto heap = base::open_beneath(place->get(), rolled_back, O_RDONLY | O_DIRECTORY);
    if (!heap) return std::unexpected(heap.error());
    for (const std::string &path : {step.upper, step.work})
        if (auto moved = move_away(place->get(), heap->get(), path.substr(path.rfind('/') + 1)); !moved)
            return std::unexpected(moved.error());
    const auto rows = drop_rows(step, place->get());
    if (!rows) return rows;
    if (auto emptied = empty_heap(place->get(), heap->get()); !emptied) return std::unexpected(emptied.error());
    // The database may be on another file system.
    ::sync();
    if (::unlinkat(place->get(), rollback_mark, 0) < 0) return fail(errno, rolling_back, rollback_mark);
    if (::fsync(place->get()) < 0) return fail(errno, rolling_back, rollback_mark);
    return "; the store is rolled back: what was added is gone, " + *rows;
}

}  // namespace stage1

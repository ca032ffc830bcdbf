#include "unionfs/tree/preserved_times.h"

#include <fcntl.h>

#include <utility>

namespace unionfs {

namespace {

// One mutex for all directories, because it is held only for a comparison and a copy.
Mutex<Rank::times> mutex;

bool same(const timespec &one, const timespec &two) { return one.tv_sec == two.tv_sec && one.tv_nsec == two.tv_nsec; }

}  // namespace

PreservedTimes::PreservedTimes(Node &directory, FdRef dir) : directory_(directory), dir_(std::move(dir)) {
    (void)::fstat(dir_->get(), &before_);  // can't fail on an open descriptor
}

PreservedTimes::~PreservedTimes() {
    const timespec times[2] = {before_.st_atim, before_.st_mtim};
    struct stat after{};
    // If either call fails, the directory merely looks changed.
    if (::utimensat(dir_->get(), ".", times, 0) < 0 || ::fstat(dir_->get(), &after) < 0) return;
    apply_shown(directory_, before_);
    show_as_before(directory_, before_, after);
}

void show_as_before(Node &directory, const struct stat &shown, const struct stat &on_disk) {
    auto unseen = std::make_unique<DirectoryShown>(
        DirectoryShown{on_disk.st_mtim, on_disk.st_ctim, shown.st_ctim, shown.st_size, shown.st_blocks});
    const std::lock_guard lock(mutex);
    directory.shown_instead = std::move(unseen);
}

void apply_shown(const Node &directory, struct stat &status) {
    const std::lock_guard lock(mutex);
    const DirectoryShown *unseen = directory.shown_instead.get();
    if (unseen == nullptr || !same(unseen->modified, status.st_mtim) || !same(unseen->on_disk, status.st_ctim)) return;
    status.st_ctim = unseen->changed;
    status.st_size = unseen->size;
    status.st_blocks = unseen->blocks;
}

void let_change_show(Node &node) {
    if (!node.is_dir()) return;
    const std::lock_guard lock(mutex);
    node.shown_instead.reset();
}

}  // namespace unionfs

#include "unionfs/tree/preserved_times.h"

#include <fcntl.h>

#include <utility>

namespace unionfs {

namespace {

// Of all folders: it is held for a comparison and a copy.
Mutex<Rank::times> mutex;

bool same(const timespec &one, const timespec &two) { return one.tv_sec == two.tv_sec && one.tv_nsec == two.tv_nsec; }

}  // namespace

UnseenChange::UnseenChange(Node &folder, FdRef dir) : folder_(folder), dir_(std::move(dir)) {
    (void)::fstat(dir_->get(), &before_);  // an open descriptor's
}

UnseenChange::~UnseenChange() {
    const timespec times[2] = {before_.st_atim, before_.st_mtim};
    struct stat after{};
    // If either fails the folder looks changed, no more.
    if (::utimensat(dir_->get(), ".", times, 0) < 0 || ::fstat(dir_->get(), &after) < 0) return;
    hide_unseen_change(folder_, before_);
    show_instead(folder_, before_, after);
}

void show_instead(Node &folder, const struct stat &shown, const struct stat &on_disk) {
    auto unseen = std::make_unique<FolderShown>(
        FolderShown{on_disk.st_mtim, on_disk.st_ctim, shown.st_ctim, shown.st_size, shown.st_blocks});
    const std::lock_guard lock(mutex);
    folder.shown_instead = std::move(unseen);
}

void hide_unseen_change(const Node &folder, struct stat &status) {
    const std::lock_guard lock(mutex);
    const FolderShown *unseen = folder.shown_instead.get();
    if (unseen == nullptr || !same(unseen->modified, status.st_mtim) || !same(unseen->on_disk, status.st_ctim)) return;
    status.st_ctim = unseen->changed;
    status.st_size = unseen->size;
    status.st_blocks = unseen->blocks;
}

void let_change_be_seen(Node &node) {
    if (!node.is_dir()) return;
    const std::lock_guard lock(mutex);
    node.shown_instead.reset();
}

}  // namespace unionfs

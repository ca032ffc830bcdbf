// A copy-up makes or fills a folder of the upper, and that is no change of the folder: it keeps its mtime on disk, and what the
// disk can't keep (ctime, size) it goes on showing as before, until something else changes it. So nothing that the kernel
// has cached of it becomes false, and tar(1) finds no folder changed while it read it. Forgotten with the Node, and by a
// successor of the daemon.
#pragma once

#include <sys/stat.h>

#include "unionfs/tree/node.h"

namespace unionfs {

// While it lives a copy comes to `folder`, which is open as `dir`. What another request changes there at the same moment may
// lose its mtime, as with overlayfs.
class UnseenChange {
  public:
    UnseenChange(Node &folder, FdRef dir);
    ~UnseenChange();
    UnseenChange(const UnseenChange &) = delete;
    UnseenChange &operator=(const UnseenChange &) = delete;

  private:
    Node &folder_;
    FdRef dir_;
    struct stat before_{};
};

// The folder shows `shown` as long as the disk says `on_disk`.
void show_instead(Node &folder, const struct stat &shown, const struct stat &on_disk);

// Puts what is to be shown in place of what the disk says.
void hide_unseen_change(const Node &folder, struct stat &status);

// Before a change of the folder's own attributes: before Linux 6.13 it may fall into the same tick of the clock.
void let_change_be_seen(Node &node);

}  // namespace unionfs

// A copy-up changes a directory of the upper, but nobody asked for that change. So the directory keeps its mtime on disk. The
// disk can't keep ctime and size, so the union shows the old values until something else changes the directory. The kernel's
// caches then stay valid, and tar(1) doesn't report that the directory changed while it was read. The old values are forgotten
// with the Node, and by a successor of the daemon.
#pragma once

#include <sys/stat.h>

#include "unionfs/tree/node.h"

namespace unionfs {

// Exists while a copy is added to `directory`, which is open as `dir`. If another request changes the directory at the same
// moment, that change may lose its mtime, as with overlayfs.
class PreservedTimes {
  public:
    PreservedTimes(Node &directory, FdRef dir);
    ~PreservedTimes();
    PreservedTimes(const PreservedTimes &) = delete;
    PreservedTimes &operator=(const PreservedTimes &) = delete;

  private:
    Node &directory_;
    FdRef dir_;
    struct stat before_{};
};

// Shows `shown` as long as the disk says `on_disk`.
void show_as_before(Node &directory, const struct stat &shown, const struct stat &on_disk);

// Replaces the attributes on disk with the ones to show.
void apply_shown(const Node &directory, struct stat &status);

// Call this before the directory's own attributes change: before Linux 6.13, the change may fall into the same clock tick.
void let_change_show(Node &node);

}  // namespace unionfs

// A copy-up changes a directory of the upper, and nobody asked for that change. So the directory keeps its mtime on disk. What
// the disk can't keep (ctime, size) it goes on showing as it was, until something else changes it. Then nothing that the
// kernel has cached of it becomes false, and tar(1) finds no directory changed while it read it. This is forgotten with the
// Node, and by a successor of the daemon.
#pragma once

#include <sys/stat.h>

#include "unionfs/tree/node.h"

namespace unionfs {

// While it lives a copy comes to `directory`, which is open as `dir`. What another request changes there at the same moment may
// lose its mtime, as with overlayfs.
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

// The directory shows `shown` as long as the disk says `on_disk`.
void show_as_before(Node &directory, const struct stat &shown, const struct stat &on_disk);

// Puts what is to be shown in place of what the disk says.
void apply_shown(const Node &directory, struct stat &status);

// Before a change of the directory's own attributes: before Linux 6.13 it may fall into the same tick of the clock.
void let_change_show(Node &node);

}  // namespace unionfs

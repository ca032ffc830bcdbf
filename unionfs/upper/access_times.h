// Applies noatime, nodiratime and strictatime to the access times of the upper's files and directories.
#pragma once

#include "mounts/base/fd.h"

namespace unionfs {

struct Layers;

// With one of these options, the upper and `workdir` (both O_PATH) are reached through a private mount that has the option, as
// overlayfs does: the file system beneath doesn't see the flags of the union's own mount. If the kernel refuses such a mount,
// usually for an ordinary user, both stay as they are. Call this before anything in them is opened.
void mount_for_access_times(Layers &layers, base::Fd &workdir);

}  // namespace unionfs

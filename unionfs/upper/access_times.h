// The access time of the upper's files and directories, as noatime, nodiratime and strictatime want it.
#pragma once

#include "mounts/base/fd.h"

namespace unionfs {

struct Layers;

// With one of these options the upper and `workdir` (O_PATH both) are reached through a mount of their own that has it, as
// overlayfs reaches its upper: a flag of the union's own mount is unknown to whatever reads the file beneath. Where the kernel
// makes no such mount, an ordinary user's above all, both stay as they are. Before anything in them is opened.
void mount_for_access_times(Layers &layers, base::Fd &workdir);

}  // namespace unionfs

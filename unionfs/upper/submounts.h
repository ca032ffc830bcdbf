// Mounts on a lower, which overlayfs never shows. They are either hidden or shown as they were at mount time.
#pragma once

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace unionfs {

struct Layers;

// Turns each lower into a private mount that nobody else sees. With submounts=follow, the mounts on it are included, otherwise
// left out. Later mounts never appear, so the union itself doesn't either. If the kernel refuses the private mount, usually for
// an ordinary user, the lower stays as it is and its mounts show. With submounts=hide, that is an error.
base::Result<> detach_lowers(Layers &layers);

// A mount of one directory that nobody else sees and that no other mounts propagate to. If invalid, errno tells why.
base::Fd copy_mount(int directory, bool with_submounts);

}  // namespace unionfs

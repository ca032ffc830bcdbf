// What is mounted on a lower, which overlayfs never shows: hidden, or followed as it is at the beginning.
#pragma once

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace unionfs {

struct Layers;

// Each lower becomes a mount of its own that nobody else sees. Mounts on it come along with submounts=follow and stay behind
// else; what is mounted there later never comes, and so the union itself doesn't. Where the kernel makes no such mount, an
// ordinary user's above all, the lower stays as it is and its mounts show, unless submounts=hide was asked for.
base::Result<> detach_lowers(Layers &layers);

// A mount of one directory that nobody else sees, and where no other's mounts come. Invalid: errno tells why.
base::Fd copy_mount(int directory, bool with_submounts);

}  // namespace unionfs

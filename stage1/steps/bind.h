// Mounts made from paths in the target root: bind mounts and overlays. Symlinks cannot lead these mounts outside the target
// root.
#pragma once

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1 {

// Error: the target exists and has another type.
base::Result<> make_bind_places(const mounts::MakeBindPlaces &step);

// Replaces the paths in a mount's source and options with paths without symlinks, for mount(2). Leaves other mounts unchanged.
base::Result<> resolve_places(mounts::Mount &mount);

}  // namespace stage1

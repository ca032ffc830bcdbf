// Mounts that are made of places of the target root: bind mounts and overlays. Nothing outside it is bound or laid over
// anything, whatever links lie there.
#pragma once

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1 {

// Error: there is something of another kind at the target.
base::Result<> make_bind_places(const mounts::MakeBindPlaces &step);

// The places in a mount's source and options as paths without links, for mount(2). Other mounts stay as they are.
base::Result<> resolve_places(mounts::Mount &mount);

}  // namespace stage1

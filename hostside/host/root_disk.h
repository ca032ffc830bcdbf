// The root disk's image: made when it is absent, locked against a second machine, put aside or laid under a throw-away one
// where that was asked for.
#pragma once

#include "hostside/description/machine.h"
#include "hostside/launch/prepare.h"
#include "mounts/base/error.h"

namespace hostside {

// Fills facts.root_image. Error: in use (by whom), no room, no image, a backing file that is gone.
base::Result<> prepare_root_disk(Prepared &prepared, const Machine &machine, const PrepareOptions &options);

}  // namespace hostside

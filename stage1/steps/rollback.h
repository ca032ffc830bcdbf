// The store's upper and its rows in the Nix database, taken away together. The wish for it (stage1/base/rollback_mark.h) goes
// last: a boot that is cut off on the way leaves it, and the next one does it all again, which changes nothing that is done.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1 {

// Before the union is mounted; the step's paths are resolved. One line on what went; empty: nobody asked.
base::Result<std::string> roll_back(const mounts::MountUnion &step);

}  // namespace stage1

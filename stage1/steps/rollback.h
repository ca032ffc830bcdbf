// Removes the store's upper together with its rows in the Nix database. The request (stage1/base/rollback_mark.h) is removed
// last: if a boot is interrupted, the next one repeats everything, and steps that were done change nothing.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1 {

// Call before the union is mounted, with resolved paths. Returns one line about what was removed; empty: no request.
base::Result<std::string> roll_back(const mounts::MountUnion &step);

}  // namespace stage1

// Restores store paths that the closure needs but that were removed in the guest.
#pragma once

#include <string>

#include "mounts/boot/step.h"

namespace stage1 {

// Call before the union is mounted. Removes the whiteouts that hide registered paths of the lower store, because the database
// lists these paths and their referrers as valid. A person or Nix's garbage collector removed them while another system ran.
// Returns one line with their names; empty: none. The register step reports a registration that cannot be read.
std::string bring_back_removed_paths(const mounts::MountUnion &step);

}  // namespace stage1

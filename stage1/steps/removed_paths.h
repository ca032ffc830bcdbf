// Store paths that somebody removed in the guest, and that its closure needs.
#pragma once

#include <string>

#include "mounts/boot/step.h"

namespace stage1 {

// Before the union is mounted: takes away the whiteouts that hide registered paths of the lower store, because the registration
// says that those are valid, and references to them are. A person removed them, or Nix's collector did while another system ran.
// Says which on one line; empty: none. A registration that can't be read is the register step's to tell.
std::string bring_back_removed_paths(const mounts::MountUnion &step);

}  // namespace stage1

// Tells a running guest which paths were added to the host's store since the last call, so that its Nix need not copy paths
// that it already sees in the store.
#pragma once

#include <string>

#include "hostside/builder/builder.h"
#include "hostside/exec/client.h"
#include "mounts/base/error.h"

namespace hostside {

// The Nix database that belongs to `store`.
std::string database_of(const std::string &store);

// `boot`: a unique text for this boot of the builder. The caller must prevent parallel calls.
base::Result<> tell_of_new_paths(const ExecWish &machine, const Builder &builder, const BuilderPlace &place,
                                 const std::string &boot);

}  // namespace hostside

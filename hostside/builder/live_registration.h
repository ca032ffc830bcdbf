// What came into the host's store since the guest was last told of it, told to the guest that runs: its Nix then needs no copy of
// what it sees in the store anyway.
#pragma once

#include <string>

#include "hostside/builder/builder.h"
#include "hostside/exec/client.h"
#include "mounts/base/error.h"

namespace hostside {

// The database of the Nix whose store `store` is.
std::string database_of(const std::string &store);

// `boot`: a text that no other boot of this builder has. One at a time: the caller waits for others.
base::Result<> tell_of_new_paths(const ExecWish &machine, const Builder &builder, const BuilderPlace &place,
                                 const std::string &boot);

}  // namespace hostside

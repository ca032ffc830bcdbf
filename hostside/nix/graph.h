// Reads the files that Nix's exportReferencesGraph writes for a build. Each path has these lines: store path, deriver or an
// empty line, number of references, the references. They have neither hash nor size, so this is not a registration yet.
#pragma once

#include <string>
#include <string_view>

#include "hostside/nix/order.h"
#include "mounts/base/error.h"

namespace hostside::nixdb {

// Adds the paths in `text` to `paths`; keeps those that are already there from another graph. `name` is for messages: an error
// names the line, its text and what was expected.
base::Result<> read_graph(std::string_view text, const std::string &name, Paths &paths);

// Computes the hash and size of each path from its files beneath `root` (empty: /).
base::Result<> hash_paths(Paths &paths, const std::string &root);

}  // namespace hostside::nixdb

// The files that Nix's exportReferencesGraph writes for a build: a path is, an item a line: store path, deriver or an empty
// line, number of references, the references. Neither hash nor size, so it is no registration yet.
#pragma once

#include <string>
#include <string_view>

#include "hostside/nix/order.h"
#include "mounts/base/error.h"

namespace hostside::nixdb {

// Adds what `text` says to `paths`; what is there already, from another graph, stays. `name` is for messages: an error names
// the line, what stands there and what was expected.
base::Result<> read_graph(std::string_view text, const std::string &name, Paths &paths);

// Hash and size of each path, from its files beneath `root` (empty: /).
base::Result<> hash_paths(Paths &paths, const std::string &root);

}  // namespace hostside::nixdb

// The outputs that a .drv names, which is all of it that the Nix database holds.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace stage1::nixdb {

using Outputs = std::map<std::string, std::string>;  // name → store path; not the floating ones, which have none

// From the text of a derivation, `Derive([("out","/nix/store/…","",""),…],…`. Absent: it is not one.
std::optional<Outputs> derivation_outputs(std::string_view text);

// Of the .drv at `path` in the root whose descriptor is `root`.
base::Result<Outputs> read_outputs(int root, const std::string &path);

}  // namespace stage1::nixdb

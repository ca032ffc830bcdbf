// The outputs of a .drv file, the only part of it that the Nix database stores.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace stage1::nixdb {

using Outputs = std::map<std::string, std::string>;  // name → store path; without floating outputs, which have no path

// Parses a derivation's text, `Derive([("out","/nix/store/…","",""),…],…`. Absent: it is not a derivation.
std::optional<Outputs> derivation_outputs(std::string_view text);

// Reads the .drv at `path` beneath the descriptor `root`.
base::Result<Outputs> read_outputs(int root, const std::string &path);

}  // namespace stage1::nixdb

// The outputs that a .drv names, which is all of it that the Nix database holds.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stage1::nixdb {

using Outputs = std::vector<std::pair<std::string, std::string>>;  // name, store path (not the floating ones, which have none)

// From the text of a derivation, `Derive([("out","/nix/store/…","",""),…],…`. Absent: it is none.
std::optional<Outputs> derivation_outputs(std::string_view text);

}  // namespace stage1::nixdb

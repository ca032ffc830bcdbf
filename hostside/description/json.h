// The one JSON type of the description's files and of a fleet's; nothing else sees it.
#pragma once

#include <nlohmann/json.hpp>

namespace hostside {

using Json = nlohmann::ordered_json;

}  // namespace hostside

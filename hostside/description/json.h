// The one JSON type of the description's files; nothing outside this directory sees it.
#pragma once

#include <nlohmann/json.hpp>

namespace hostside {

using Json = nlohmann::ordered_json;

}  // namespace hostside

// The JSON type of descriptions and fleet files; no other code uses it.
#pragma once

#include <nlohmann/json.hpp>

namespace hostside {

using Json = nlohmann::ordered_json;

}  // namespace hostside

// Parses a layer's text as JSON, within limits (hostside/base/bounded_json.h).
#pragma once

#include <string>
#include <string_view>

#include "hostside/base/bounded_json.h"
#include "hostside/description/json.h"
#include "mounts/base/error.h"

namespace hostside {

// Error: see check_json.
base::Result<Json> parse(std::string_view text, const std::string &origin);
// For other files than descriptions.
base::Result<Json> parse(std::string_view text, const std::string &origin, const JsonLimits &limits);

}  // namespace hostside

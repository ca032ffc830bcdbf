#include "hostside/description/parse.h"

#include "hostside/description/description.h"

namespace hostside {

namespace {

// A NixOS machine's description has a few kilobytes, a depth of 4 and 60 keys.
constexpr JsonLimits of_a_description{.what = "a description", .bytes = description_limit_bytes, .keys = 10'000, .depth = 16};

}  // namespace

base::Result<Json> parse(std::string_view text, const std::string &origin) { return parse(text, origin, of_a_description); }

base::Result<Json> parse(std::string_view text, const std::string &origin, const JsonLimits &limits) {
    return check_json(text, origin, limits).transform([&] { return Json::parse(text); });
}

}  // namespace hostside

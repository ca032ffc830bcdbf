// What runvm remembers between runs: files under ${XDG_CACHE_HOME:-~/.cache}/runvm. Everything there can be made anew.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

// The folder, made when it is not there.
base::Result<std::string> cache_directory();

// A name for what is made from these files: their paths, sizes and times and `recipe`, hashed. Error: one is not there.
base::Result<std::string> cache_key(const std::vector<std::string> &files, std::string_view recipe);

}  // namespace hostside

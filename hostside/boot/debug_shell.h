// The busybox that becomes the shell of an initrd: `debugShell`. An initrd has no libraries, so it must be a static one.
#pragma once

#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace hostside {

inline constexpr std::string_view any_debug_shell = "auto";

// `wish`: a file, or `auto` for the first static busybox of this host. Error: there is no static one; the hint says what installs
// it.
base::Result<std::string> find_debug_shell(const std::string &wish);

}  // namespace hostside

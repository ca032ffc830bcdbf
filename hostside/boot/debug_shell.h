// The busybox for the shell of an initrd (`debugShell`). It must be static, because an initrd has no libraries.
#pragma once

#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace hostside {

inline constexpr std::string_view any_debug_shell = "auto";

// `wish`: a file, or `auto` for the first static busybox on this host. Error: there is no static busybox; the hint says what
// installs one.
base::Result<std::string> find_debug_shell(const std::string &wish);

}  // namespace hostside

// The prompt's commands that show files and the kernel's tables. What they show is foreign: it comes out printable.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace stage1 {

// Takes a piece of what a command shows; false: the person has seen enough.
using Show = std::function<bool(std::string_view text)>;

base::Result<> list_directory(const std::string &path, const Show &show);
base::Result<> show_file(const std::string &path, const Show &show);
base::Result<> show_kernel_log(const Show &show);
base::Result<> show_modules(const Show &show);
base::Result<> show_devices(const Show &show);

}  // namespace stage1

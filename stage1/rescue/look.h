// The prompt's commands that show files and the kernel's tables. They print foreign text in printable form.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace stage1 {

// Prints a piece of a command's output. False: the person interrupted it.
using Show = std::function<bool(std::string_view text)>;

base::Result<> list_directory(const std::string &path, const Show &show);
base::Result<> show_file(const std::string &path, const Show &show);
base::Result<> show_kernel_log(const Show &show);
base::Result<> show_modules(const Show &show);
base::Result<> show_devices(const Show &show);

}  // namespace stage1

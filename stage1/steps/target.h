// A step's path as its step means it (mounts/boot/step.h): beneath its root, from one descriptor, whatever links lie there.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace stage1 {

struct Target {
    base::Fd root;
    std::string path;  // for open_in_root
};

// `root` empty: our own root and the whole path. `path` begins with `root`.
base::Result<Target> open_target(const std::string &root, const std::string &path);

// The path without a link in it of what is there, for mount(2) and programs; `flags`: O_NOFOLLOW refuses a link in the last
// place, whoever may have made it.
base::Result<std::string> real_path(const std::string &root, const std::string &path, int flags = 0);

}  // namespace stage1

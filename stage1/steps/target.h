// Resolves a step's path beneath the step's root (mounts/boot/step.h), from one descriptor, so that links cannot lead outside.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace stage1 {

struct Target {
    base::Fd root;
    std::string path;  // for open_in_root
};

// Empty `root`: the current root, and the whole path. `path` must begin with `root`.
base::Result<Target> open_target(const std::string &root, const std::string &path);

// The real path of something that exists, without symlinks, for mount(2) and for programs. With O_NOFOLLOW in `flags`, a link
// in the last component is an error.
base::Result<std::string> real_path(const std::string &root, const std::string &path, int flags = 0);

}  // namespace stage1

// Finds the registration of the closure.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace stage1::nixdb {

struct RegistrationFile {
    std::string name;
    base::Fd file;  // invalid: there is none
};

// Opens `reginfo` in the target root or outside. Also looks for a store path in the host's store, while no union is mounted
// over it. If `reginfo` is empty: uses the initrd's file (a registration, or one line with its path), then the target root's.
base::Result<RegistrationFile> find_registration(int root, const std::string &reginfo);

}  // namespace stage1::nixdb

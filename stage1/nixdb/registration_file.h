// Where the registration of the closure is.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace stage1::nixdb {

struct RegistrationFile {
    std::string name;
    base::Fd file;  // invalid: there is none
};

// `reginfo`, in the target root or outside. A path of the store is looked for in the host's store, too, as long as no union is
// mounted over it. If `reginfo` is empty: the initrd's file (a registration, or one line that says where it is), then the
// target root's.
base::Result<RegistrationFile> find_registration(int root, const std::string &reginfo);

}  // namespace stage1::nixdb

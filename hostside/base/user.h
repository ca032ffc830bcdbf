// A user of this host that a program runs as.
#pragma once

#include <sys/types.h>

#include <string>

#include "mounts/base/error.h"

namespace hostside {

struct User {
    uid_t uid = 0;
    gid_t gid = 0;
};

// `word` is a name from /etc/passwd, or UID:GID. Error: it is neither.
base::Result<User> user_of(const std::string &word);

}  // namespace hostside

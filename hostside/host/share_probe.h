// What a directory can do that is to be shared. Leaves nothing in it.
#pragma once

#include <string>

#include "hostside/base/user.h"

namespace hostside {

// A file in it can have extended attributes of a user's, which the security model mapped-xattr needs. True also when that can't
// be tried: then QEMU says what is wrong.
bool keeps_attributes(const std::string &directory);

// This user may read the directory, and write where that is asked; a user's other groups are left out, as QEMU leaves them out.
bool may_use(const User &user, const std::string &directory, bool write);

// The name of a symbolic link right in it, of the first few hundred entries; empty: none.
std::string symlink_in(const std::string &directory);

}  // namespace hostside

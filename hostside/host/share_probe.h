// Tests what a directory that is to be shared supports. Leaves nothing in it.
#pragma once

#include <string>

#include "hostside/base/user.h"

namespace hostside {

// True if files in it can have user.* extended attributes, which the security model mapped-xattr needs. Also true if that can't
// be tested, because then QEMU reports the problem.
bool keeps_attributes(const std::string &directory);

// True if this user may read the directory, and with `write` also write to it. Ignores supplementary groups, as QEMU does.
bool may_use(const User &user, const std::string &directory, bool write);

// The name of a symbolic link directly in it, among the first few hundred entries. Empty: none.
std::string symlink_in(const std::string &directory);

}  // namespace hostside

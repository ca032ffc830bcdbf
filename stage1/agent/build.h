// A build in the guest, done as Nix does it: its directory, its user and its cleanup. Runs in a task's process (task.h).
#pragma once

#include <sys/types.h>

#include <string>

#include "mounts/base/error.h"

namespace stage1 {

struct BuildUser {
    uid_t uid = 0;
    gid_t gid = 0;
};

// `user`: a user of the guest. Empty: nixbld1 or, if the guest has no such user, the IDs that NixOS gives it.
base::Result<BuildUser> build_user(const std::string &user);

// Makes the store writable for the build user, removes old `outputs` (separated by blanks) and creates an empty directory for
// the build. Prints the directory's path to standard output.
base::Result<> begin_build(const std::string &user, const std::string &outputs);

// Kills everything that the build left running, and syncs. Prints nearly full disks to standard output, in words.
base::Result<> end_build(const std::string &user, const std::string &place);

// Writes the NAR of `path` to standard output, then its hash (Nix's base 32) and a newline. `others`: leave out sockets, FIFOs
// and devices, which a NAR cannot hold.
base::Result<> send_nar(const std::string &path, bool others);

}  // namespace stage1

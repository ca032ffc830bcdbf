// A build in the guest as Nix has one: its directory, its user, and what is left of it. Runs in a task's process (task.h).
#pragma once

#include <sys/types.h>

#include <string>

#include "mounts/base/error.h"

namespace stage1 {

struct BuildUser {
    uid_t uid = 0;
    gid_t gid = 0;
};

// `user`: of the guest's; empty: nixbld1, and where the guest has none, the numbers that NixOS gives it.
base::Result<BuildUser> build_user(const std::string &user);

// Makes the store a build user's to write into, removes what is left of `outputs` (blanks between), and makes an empty directory
// for the build: its path goes to standard output.
base::Result<> begin_build(const std::string &user, const std::string &outputs);

// Ends whatever the build left running, and syncs. Nearly full disks are told on standard output, as words.
base::Result<> end_build(const std::string &user, const std::string &place);

// The NAR of `path` on standard output, and behind it its hash (Nix's base 32) and a newline. `others`: sockets, FIFOs and
// devices, which no NAR holds, are left out.
base::Result<> send_nar(const std::string &path, bool others);

}  // namespace stage1

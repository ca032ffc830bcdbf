// Turns the union's command line into a value. It accepts the forms of both predecessors: unionfs-fuse's `-o cow,chroot=DIR,…
// RW=RW:RO=RO MOUNTPOINT` and overlayfs's `-o lowerdir=A:B,upperdir=C,workdir=D [SOURCE] MOUNTPOINT`. Opens nothing. An Error
// names the wrong option or branch.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "unionfs/base/options.h"

namespace unionfs {

base::Result<Options> parse_options(const std::vector<std::string> &arguments);

// What `-o help` prints.
extern const char *const options_help;

}  // namespace unionfs

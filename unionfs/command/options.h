// The command line of the union as a value, in the forms of its predecessors: unionfs-fuse's
// `-o cow,chroot=DIR,… RW=RW:RO=RO MOUNTPOINT` and overlayfs's `-o lowerdir=A:B,upperdir=C,workdir=D [SOURCE] MOUNTPOINT`.
// Pure: nothing is opened here. An Error names the option or branch that is wrong.
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

// The workdir: what is made before it is seen, the shared whiteout and the index of hard links. Whoever could write there
// before the mount may have left anything, so that each thing is looked at before it is used, and refused by its name.
#pragma once

#include <sys/stat.h>

#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace unionfs {

struct Layers;
struct Options;

// An O_PATH descriptor. With chroot= neither a link nor `..` leads out of it.
base::Result<base::Fd> open_branch(const Options &options, const std::string &path, int flags = 0);

// In bytes. A longer note of removed names was not written by us.
constexpr off_t most_removals = off_t{64} << 20;

// One name in `dir`: no symbolic link is followed and no mount entered. An invalid Fd: errno tells why.
base::Fd open_inside(int dir, const char *name, int flags, mode_t mode = 0);

// Made if it is the default one and not there. `upper`: of the upper's directory.
base::Result<base::Fd> open_workdir(Layers &layers, const struct stat &upper);

// `work` and `links`, made if they are not there. `work` stays locked while a process of the mount has it open.
base::Result<> open_work_directories(Layers &layers, const base::Fd &workdir);

// An open file that holds notes of ours: a plain one with no other name, and not longer than such are. Empty, or why not.
std::string why_no_note(const struct stat &status, off_t most_bytes);

}  // namespace unionfs

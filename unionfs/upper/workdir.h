// The workdir holds objects that are not visible yet, the shared whiteout and the index of hard links. Anyone who could write
// there before the mount may have left anything. So each entry is checked before use, and a bad one is refused by name. Whoever
// can write to the workdir itself can't write to its directories `work` and `links`, which are ours.
#pragma once

#include <sys/stat.h>

#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace unionfs {

struct Layers;
struct Options;

// Returns an O_PATH descriptor. With chroot=, neither symbolic links nor `..` leave the root.
base::Result<base::Fd> open_branch(const Options &options, const std::string &path, int flags = 0);

// In bytes. unionfs never writes a longer note of removed names.
constexpr off_t most_removals = off_t{64} << 20;

// Opens one name in `dir`. Follows no symbolic link and enters no mount. If the Fd is invalid, errno tells why.
base::Fd open_inside(int dir, const char *name, int flags, mode_t mode = 0);

// Makes the default workdir if it doesn't exist. `upper`: the status of the upper's directory.
base::Result<base::Fd> open_workdir(Layers &layers, const struct stat &upper);

// Only one mount may use an upper or a workdir. Another would not see what the first changes, and would take its unfinished
// files for leftovers of a crash. The lock lasts until the last process with the descriptor ends, so this waits for the daemon
// of a mount that was just removed.
base::Result<> lock_branch(const base::Fd &directory, const char *what, const std::string &path);

// Makes `work` and `links` if they don't exist. `work` stays locked while a process of the mount has it open.
base::Result<> open_work_directories(Layers &layers, const base::Fd &workdir);

// Checks an open file that should hold our notes: a regular file with a single name and at most `most_bytes`. Returns an empty
// string, or what is wrong with it.
std::string why_no_note(const struct stat &status, off_t most_bytes);

}  // namespace unionfs

// Files relative to a directory that was resolved once. Prefer these over path strings: they avoid the race between a
// check and its use, and `open_beneath` keeps a hostile tree (a guest's xchg, an image) from leading us out of it.
#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace base {

// openat(2); O_CLOEXEC is always added.
Result<Fd> open_at(int dir, const std::string &path, int flags, mode_t mode = 0);

// openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS: nothing outside `dir` is reached, whatever is inside.
// EXDEV or ELOOP: the path tried to leave, or went through a symlink.
Result<Fd> open_beneath(int dir, const std::string &path, int flags, mode_t mode = 0);

// openat2(2) with RESOLVE_IN_ROOT: symlinks are followed as if `dir` were "/". For a target root whose files
// (init, /etc links into the store) are symlinks with absolute targets.
Result<Fd> open_in_root(int dir, const std::string &path, int flags, mode_t mode = 0);

// Reads all of an open file, at most `limit_bytes`; more is EFBIG. Works on files without a size (/proc, FIFOs).
Result<std::string> read_all(int fd, std::string_view name, size_t limit_bytes);

// open_at and read_all in one.
Result<std::string> read_file(const std::string &path, size_t limit_bytes = size_t{64} << 20);

// Writes everything, across short writes and EINTR.
Result<> write_all(int fd, std::string_view data, std::string_view name);

// Replaces a file atomically: temporary sibling, fsync, rename. After a crash there is the old or the new one.
Result<> replace_file(const std::string &path, std::string_view data, mode_t mode = 0644);

// mkdir -p beneath `dir`, each missing level with 0755. A level that is there is left as it is; one that is not a
// directory is ENOTDIR.
Result<> make_directories_at(int dir, std::string_view path);

// mkdir -p beneath `root` with links followed as open_in_root follows them, the last one too: what a dangling one names is
// made, inside. Returns the last level, O_PATH. ELOOP: more than 40 links that lead nowhere yet.
Result<Fd> make_directories_in_root(int root, std::string_view path);

// Where an open file or directory is now: a path without a link in it, for calls that take no descriptor. Needs /proc. ENOENT:
// it has no name any more.
Result<std::string> path_of(int fd, std::string_view name);

}  // namespace base

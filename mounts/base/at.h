// File access relative to a directory that was resolved once. Prefer these functions to path strings: they avoid races between
// a check and its use, and `open_beneath` keeps a hostile tree (a guest's xchg, an image) from leading us out of it.
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

// openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS: nothing outside `dir` can be reached, whatever it contains. EXDEV or
// ELOOP: the path tried to leave `dir`, or contains a symlink.
Result<Fd> open_beneath(int dir, const std::string &path, int flags, mode_t mode = 0);

// openat2(2) with RESOLVE_IN_ROOT: follows symlinks as if `dir` were "/". For a target root whose files (init, /etc links into
// the store) are symlinks with absolute targets.
Result<Fd> open_in_root(int dir, const std::string &path, int flags, mode_t mode = 0);

// Reads an open file to its end. More than `limit_bytes` is EFBIG. Works on files without a size (/proc, FIFOs).
Result<std::string> read_all(int fd, std::string_view name, size_t limit_bytes);

// open_at and read_all in one.
Result<std::string> read_file(const std::string &path, size_t limit_bytes = size_t{64} << 20);

// Writes everything; handles short writes and EINTR.
Result<> write_all(int fd, std::string_view data, std::string_view name);

// Replaces a file atomically: temporary sibling, fsync, rename. After a crash either the old or the new file is there.
Result<> replace_file(const std::string &path, std::string_view data, mode_t mode = 0644);

// mkdir -p beneath `dir`; missing levels get mode 0755, existing ones stay unchanged. ENOTDIR: a level is not a directory.
Result<> make_directories_at(int dir, std::string_view path);

// mkdir -p beneath `root`. Follows links as open_in_root does, including the last one; creates the target of a dangling link
// inside `root`. Returns the last level, O_PATH. ELOOP: more than 40 dangling links.
Result<Fd> make_directories_in_root(int root, std::string_view path);

// The current path of an open file or directory, without symlinks, for calls that take no descriptor. Needs /proc. ENOENT: the
// file no longer has a name.
Result<std::string> path_of(int fd, std::string_view name);

}  // namespace base

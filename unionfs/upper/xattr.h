// Extended attributes of (dirfd, name), never following a symlink. An empty name is the descriptor itself, O_PATH too.
// Return: bytes or 0, else -errno. Linux 6.13 has system calls for it; before, a regular file or directory is opened
// and anything else reached through /proc.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <vector>

namespace unionfs {

// Makes the process's directory of descriptors its working directory. switch_root moves /proc out of a daemon's sight, and
// before Linux 6.13 attributes are reached through it. False: no /proc; then nothing was changed.
bool keep_descriptors_reachable();

ssize_t get_xattr(int dir, const char *name, const char *attribute, void *value, size_t size);
int set_xattr(int dir, const char *name, const char *attribute, const void *value, size_t size, int flags = 0);
int remove_xattr(int dir, const char *name, const char *attribute);
ssize_t list_xattr(int dir, const char *name, char *list, size_t size);

// Lists all names. Returns 0 or an errno. An object or file system without attributes has none.
int xattr_names(int dir, const char *name, std::vector<std::string> &names);

// Returns 0 or an errno. is_no_attribute() tells whether the errno means that there is none.
int xattr_value(int dir, const char *name, const std::string &attribute, std::string &value);

// True if there is no such attribute, there can't be one, or we may not see it. Any other errno leaves it unknown.
constexpr bool is_no_attribute(int error) { return error == ENODATA || error == EOPNOTSUPP || error == EACCES; }

// chmod(2) and utimensat(2) of an object that `fd` is, perhaps of O_PATH. 0 or errno.
int set_mode(int fd, mode_t mode);
int set_times(int fd, const timespec (&times)[2]);

}  // namespace unionfs

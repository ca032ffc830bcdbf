// Extended attributes of (dirfd, name), without following a symbolic link. An empty name means the descriptor itself, which may
// be O_PATH. Functions return a byte count or 0, or -errno. Linux 6.13 has system calls for this. On older kernels, and for an
// O_PATH descriptor itself, objects are reached through /proc.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <vector>

namespace unionfs {

// Makes /proc/self/fd the working directory. switch_root moves /proc out of a daemon's reach, and before Linux 6.13 attributes
// are reached through it. Returns false if there is no /proc; then nothing changed.
bool keep_descriptors_reachable();

ssize_t get_xattr(int dir, const char *name, const char *attribute, void *value, size_t size);
int set_xattr(int dir, const char *name, const char *attribute, const void *value, size_t size, int flags = 0);
int remove_xattr(int dir, const char *name, const char *attribute);
ssize_t list_xattr(int dir, const char *name, char *list, size_t size);

// Lists all names. Returns 0 or an errno. An object or file system without attributes has none.
int xattr_names(int dir, const char *name, std::vector<std::string> &names);

// Returns 0 or an errno. is_no_attribute() tells whether the errno means that the attribute is absent.
int xattr_value(int dir, const char *name, const std::string &attribute, std::string &value);

// True if the attribute is absent, can't exist, or may not be seen by us. Any other errno leaves the question open.
constexpr bool is_no_attribute(int error) { return error == ENODATA || error == EOPNOTSUPP || error == EACCES; }

// chmod(2) and utimensat(2) of the object behind `fd`, which may be O_PATH. They return 0 or an errno.
int set_mode(int fd, mode_t mode);
int set_times(int fd, const timespec (&times)[2]);

}  // namespace unionfs

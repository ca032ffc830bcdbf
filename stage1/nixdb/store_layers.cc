#include "stage1/nixdb/store_layers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cerrno>
#include <utility>

#include "mounts/base/at.h"
#include "mounts/protocol.h"

namespace stage1::nixdb {

StoreLayers StoreLayers::open(int root) {
    StoreLayers layers;
    auto lower = base::open_in_root(root, std::string(mounts::protocol::store_lower_dir), O_PATH | O_DIRECTORY);
    auto upper = base::open_in_root(root, std::string(mounts::protocol::store_upper_dir) + "/upper", O_PATH | O_DIRECTORY);
    // Without a union the lower is not mounted, and leftovers in the upper mean nothing.
    struct stat below{}, above{};
    if (lower && upper && ::fstat(lower->get(), &below) == 0 && ::fstat(upper->get(), &above) == 0 &&
        below.st_dev != above.st_dev)
        layers = {std::move(*lower), std::move(*upper)};
    return layers;
}

bool StoreLayers::has_only_changes(const std::string &name) const {
    struct stat st{};
    if (!upper || ::fstatat(lower.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT) return false;
    const auto directory = base::open_beneath(upper.get(), name, O_RDONLY | O_DIRECTORY);
    // Both engines mark a directory that they copied up: with a file handle, or with an empty value if the lower has no file
    // handles, as on 9p (ovl_set_origin_fh in linux/fs/overlayfs/copy_up.c).
    return directory && ::fgetxattr(directory->get(), "trusted.overlay.origin", nullptr, 0) >= 0;
}

}  // namespace stage1::nixdb

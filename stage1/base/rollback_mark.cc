#include "stage1/base/rollback_mark.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>

#include "mounts/base/at.h"
#include "mounts/base/regular_file.h"
#include "mounts/protocol.h"

namespace stage1 {

using base::fail;

base::Result<std::string> ask_for_rollback(const std::string &target_root) {
    const std::string place(mounts::protocol::store_upper_dir);
    const auto root = base::open_at(AT_FDCWD, target_root, O_PATH | O_DIRECTORY);
    if (!root) return std::unexpected(root.error());
    const auto directory = base::open_in_root(root->get(), place, O_RDONLY | O_DIRECTORY);
    if (!directory || ::faccessat(directory->get(), "upper", F_OK, 0) < 0)
        return fail(ENOENT, "roll back", place, "the store of this machine has no union: nothing was added");
    struct statfs fs{};
    if (::fstatfs(directory->get(), &fs) < 0) return fail(errno, "roll back", place);
    if (fs.f_type == TMPFS_MAGIC) return fail(0, "roll back", place, "it is in memory: the next boot has none of it anyway");
    const auto mark = base::open_regular(directory->get(), rollback_mark, O_WRONLY | O_CREAT, 0600);
    if (!mark) return std::unexpected(mark.error());
    if (::fsync(mark->get()) < 0 || ::fsync(directory->get()) < 0) return fail(errno, "fsync", place);
    return std::string("what this machine added to its store goes at its next boot");
}

}  // namespace stage1

#include "stage1/steps/target.h"

#include <fcntl.h>

#include <cerrno>

#include "mounts/base/at.h"

namespace stage1 {

base::Result<Target> open_target(const std::string &root, const std::string &path) {
    auto fd = base::open_at(AT_FDCWD, root.empty() ? "/" : root, O_PATH | O_DIRECTORY);
    if (!fd) return std::unexpected(fd.error());
    const std::string rest = path.substr(root.size());
    return Target{std::move(*fd), rest.empty() ? "/" : rest};
}

base::Result<std::string> real_path(const std::string &root, const std::string &path, int flags) {
    if (root.empty()) return path;
    const auto target = open_target(root, path);
    if (!target) return std::unexpected(target.error());
    const auto fd = base::open_in_root(target->root.get(), target->path, O_PATH | flags);
    if (!fd) return base::fail(fd.error().code, "resolve", path, "in the target root");
    return base::path_of(fd->get(), path);
}

}  // namespace stage1

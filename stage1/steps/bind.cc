#include "stage1/steps/bind.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "mounts/base/at.h"
#include "mounts/boot/source.h"
#include "stage1/steps/system.h"
#include "stage1/steps/target.h"

namespace stage1 {

using base::fail;
using base::Result;

namespace {

// The file type; 0: nothing exists.
Result<mode_t> kind_of(const std::string &root, const std::string &path) {
    const auto target = open_target(root, path);
    if (!target) return std::unexpected(target.error());
    const auto fd = base::open_in_root(target->root.get(), target->path, O_PATH);
    struct stat st{};
    if (!fd) return fd.error().code == ENOENT ? Result<mode_t>(0) : std::unexpected(fd.error());
    if (::fstat(fd->get(), &st) < 0) return fail(errno, "stat", path);
    return st.st_mode & S_IFMT;
}

}  // namespace

Result<> make_bind_places(const mounts::MakeBindPlaces &step) {
    const auto kind = kind_of(step.root, step.source);
    if (!kind) return std::unexpected(kind.error());
    if (*kind == 0)
        if (auto made = make_directory({.path = step.source, .root = step.root}); !made) return made;
    if (*kind == 0 || S_ISDIR(*kind)) return make_directory({.path = step.target, .root = step.root});

    const auto there = kind_of(step.root, step.target);
    if (!there) return std::unexpected(there.error());
    if (S_ISDIR(*there))
        return fail(EISDIR, "bind", step.target, "its source " + step.source + " is no directory; move one of them away");
    if (*there != 0) return {};
    const size_t slash = step.target.rfind('/');
    if (slash > step.root.size())
        if (auto made = make_directory({.path = step.target.substr(0, slash), .root = step.root}); !made) return made;
    return mark_file({.path = step.target, .root = step.root});
}

Result<> resolve_places(mounts::Mount &mount) {
    if (mounts::is_bind(mount.options)) {
        auto source = real_path(mount.root, mount.source);
        if (!source) return std::unexpected(source.error());
        mount.source = std::move(*source);
    }
    if (mount.type != "overlay") return {};
    auto options = mounts::replace_places(
        mount.options, [&](const std::string &path) { return real_path(mount.root, mount.root + mounts::plain_path(path)); });
    if (!options) return std::unexpected(options.error());
    mount.options = std::move(*options);
    return {};
}

}  // namespace stage1

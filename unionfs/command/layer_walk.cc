#include "unionfs/command/layer_walk.h"

#include "mounts/base/directory.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

// Mostly ends soon, because each directory that was copied up has a mark.
base::Result<Marks> marks_of(const base::Fd &upper) {
    const Marks trusted, of_user{"user.overlay."};
    bool has_users = false;
    Places places;
    std::deque<std::pair<Place *, std::string>> left{{&places.root(base::Fd(::fcntl(upper.get(), F_DUPFD_CLOEXEC, 0))), ""}};
    for (; !left.empty(); left.pop_front()) {
        const auto &[place, path] = left.front();
        const auto directory = places.open(*place);
        if (!directory) return std::unexpected(directory.error());
        auto names = base::names_in((*directory)->get(), path);
        if (!names) return std::unexpected(names.error());
        names->emplace_back(".");
        for (const std::string &name : *names) {
            std::vector<std::string> attributes;
            struct stat status{};
            if (::fstatat((*directory)->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0)
                return base::fail(errno, "stat", joined(path, name));
            if (S_ISDIR(status.st_mode) && name != ".") {
                left.emplace_back(&places.inside(*place, name), joined(path, name));
                continue;
            }
            if (const int error = xattr_names((*directory)->get(), name.c_str(), attributes); error != 0)
                return base::fail(error, "read marks", joined(path, name));
            for (const std::string &attribute : attributes) {
                if (trusted.is_mark(attribute)) return trusted;
                has_users = has_users || of_user.is_mark(attribute);
            }
        }
    }
    return has_users ? of_user : trusted;
}

}  // namespace unionfs

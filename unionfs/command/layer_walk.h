// What reading an upper without a mount needs: directories of a layer by descriptor, and the upper's marks.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mounts/base/at.h"
#include "unionfs/base/fd_cache.h"
#include "unionfs/upper/marks.h"

namespace unionfs {

// A directory of a layer. A layer may be arbitrarily deep. So if too many descriptors are open, some are closed, and reopened
// later from their parents.
struct Place {
    Place *above = nullptr;
    std::string name{};
    FdRef root{};  // only for a layer's root
    FdCache::Slot slot{};
};

class Places {
  public:
    Place &root(base::Fd fd) { return all_.emplace_back(nullptr, "", std::make_shared<const base::Fd>(std::move(fd))); }
    Place &inside(Place &above, const std::string &name) { return all_.emplace_back(&above, name); }

    base::Result<FdRef> open(Place &place) {
        std::vector<Place *> closed;
        FdRef fd;
        for (Place *at = &place; !fd; at = at->above)
            if (!(fd = at->root ? at->root : cache_.get(at->slot))) closed.push_back(at);
        for (; !closed.empty(); closed.pop_back()) {
            auto opened = base::open_at(fd->get(), closed.back()->name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
            if (!opened) return std::unexpected(opened.error());
            fd = cache_.put(closed.back()->slot, std::move(*opened));
        }
        return fd;
    }

  private:
    static constexpr size_t most_open = 128;
    FdCache cache_{most_open};
    std::deque<Place> all_;
};

inline std::string joined(const std::string &path, const std::string &name) { return path.empty() ? name : path + "/" + name; }

// The marks that an upper's union wrote. If an object has one in trusted.*, all are there, and user.overlay.* is what the union's
// users set on their files. Such a union shows it like any other attribute.
base::Result<Marks> marks_of(const base::Fd &upper);

inline std::string redirect_of(const Marks &marks, int dir, const char *name) {
    std::string value;
    if (marks.anybody_may_set()) return {};  // no union follows it
    return marks.value(dir, name, "redirect", value) == 0 ? value : std::string();
}

inline bool is_opaque(const Marks &marks, int dir, const char *name) {
    bool is = false;
    return marks.is_opaque(dir, name, is) == 0 && is;
}

inline bool hides(const Marks &marks, int dir, const char *name, const struct stat &status) {
    bool is = false;
    return marks.is_whiteout(dir, name, status, is) == 0 && is;
}

}  // namespace unionfs

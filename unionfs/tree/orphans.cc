// Removed objects that are still in use. For a lower object, its path is remembered. For an upper object, an open descriptor is
// kept, which costs least. If too many descriptors are in use, a name in the work directory keeps the object instead: a link to
// a file, or a new directory with the attributes of the removed one, which was empty and stays so. So a process that keeps many
// removed files open can't use up the descriptors.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "unionfs/tree/union.h"

namespace unionfs {

FdRef Union::count_orphan(FdRef fd) {
    struct Counted {
        FdRef fd;
        std::atomic<unsigned> &count;
        Counted(FdRef counted, std::atomic<unsigned> &by) : fd(std::move(counted)), count(by) { ++count; }
        Counted(const Counted &) = delete;
        Counted &operator=(const Counted &) = delete;
        ~Counted() { --count; }
    };
    // Several threads may pass this check at once. The reserve of descriptors covers that.
    if (orphans_open_ >= options.max_orphans) return nullptr;
    const auto counted = std::make_shared<const Counted>(std::move(fd), orphans_open_);
    return {counted, counted->fd.get()};
}

// Stores where a successor finds a lower object that has no name left.
void Union::remember_place(Node &node) {
    if (node.hidden != 0) return;
    std::vector<std::string> path;
    LowerDirRef dir = node.is_dir() ? node.lowers.front() : node.lower_parent;
    if (!node.is_dir()) path.push_back(node.lower_name);
    for (; dir->parent; dir = dir->parent) path.insert(path.begin(), dir->name);
    table.hide(&node, dir->layer, path);
}

// A file that loses its last name stays usable for those who have it open. Keep::left: it still has names, but they lead to
// another Node.
int Union::keep_unlinked(Node &node, Keep why) {
    if (node.orphan() || node.orphan_name != 0) return 0;
    if (!node.upper) {
        remember_place(node);
        return 0;
    }
    FdRef fd;
    if (orphans_open_ >= options.max_orphans) {
        // A link would count as a name of the file. Readers of the lower file go on without us.
        if (why == Keep::left) return 0;
        return keep_by_name(node);
    }
    // Without root, a file may be read but not written to. Those who have it open for reading need more than O_PATH.
    if (node.is_file() && (data(node, true, fd) == 0 || data(node, false, fd) == 0)) {
        if (FdRef counted = count_orphan(fd)) node.keep_orphan(std::move(counted));
    } else {
        Location place;
        if (const int error = resolve_upper(node, place); error != 0) return error;
        base::Fd opened(::openat(place.fd(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (!opened) return errno;
        if (FdRef counted = count_orphan(std::make_shared<const base::Fd>(std::move(opened))))
            node.keep_orphan(std::move(counted));
    }
    return node.orphan() || why == Keep::left ? 0 : keep_by_name(node);
}

int Union::keep_by_name(Node &node) {
    const std::lock_guard lock(node.mutex);
    if (node.indexed) return 0;  // when its last name is gone, its index entry becomes the one that keeps it
    Location place;
    struct stat status{};
    if (const int error = resolve_upper(node, place); error != 0) return error;
    const std::string entry = Layers::orphan_entry(node.upper_key.inode);
    const int how = place.name.empty() ? AT_EMPTY_PATH : 0;
    if (::linkat(place.fd(), place.name.c_str(), layers.work->get(), entry.c_str(), how) < 0) return errno;
    if (::fstatat(layers.work->get(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0 || key_of(status) != node.upper_key) {
        layers.discard(entry);
        return ESTALE;
    }
    node.orphan_name = node.upper_key.inode;
    return 0;
}

// A removed directory stays usable for processes in it.
void Union::keep_removed_directory(Node &directory) {
    FdRef itself;
    struct stat status{};
    if (!directory.upper) return remember_place(directory);
    if (upper_dir(directory, itself) != 0) return;
    if (FdRef counted = count_orphan(itself)) return directory.keep_orphan(std::move(counted));
    StagedCopy made;
    if (::fstat(itself->get(), &status) < 0 || layers.stage_directory(itself->get(), status, made) != 0) return;
    (void)keep_made(directory, made, {});  // if that fails, the directory answers ESTALE, and nothing else is lost
}

// Takes an object in the work directory that gets no name. Removes its entry, or turns it into the one that keeps the object.
int Union::keep_made(Node &node, const StagedCopy &made, base::Fd fd) {
    const int work = layers.work->get();
    if (!fd) fd.reset(::openat(work, made.entry.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    FdRef counted = fd ? count_orphan(std::make_shared<const base::Fd>(std::move(fd))) : nullptr;
    if (counted) {
        layers.discard(made.entry);
        node.keep_orphan(std::move(counted));
        return 0;
    }
    if (::renameat(work, made.entry.c_str(), work, Layers::orphan_entry(made.key.inode).c_str()) < 0) {
        const int error = errno;
        layers.discard(made.entry);
        return error;
    }
    node.orphan_name = made.key.inode;
    return 0;
}

int Union::keep_unnamed(Node &node, base::Fd file) {
    const std::string entry = Layers::orphan_entry(node.upper_key.inode);
    const auto shared = std::make_shared<const base::Fd>(std::move(file));
    if (FdRef counted = count_orphan(shared)) {
        node.keep_orphan(std::move(counted));
        return 0;
    }
    if (::linkat(shared->get(), "", layers.work->get(), entry.c_str(), AT_EMPTY_PATH) < 0) return EMFILE;  // needs root
    node.orphan_name = node.upper_key.inode;
    return 0;
}

void Union::keep_inherited(Node &node) {
    if (node.orphan_fd < 0) return;
    auto fd = std::make_shared<const base::Fd>(node.orphan_fd);
    FdRef counted = count_orphan(fd);
    node.keep_orphan(counted ? std::move(counted) : std::move(fd));
}

void Union::give_up_orphan(Node &node) {
    node.drop_orphan();
    if (const ino_t name = std::exchange(node.orphan_name, 0); name != 0) let_orphan_go(name);
}

void Union::let_orphan_go(ino_t name) { layers.discard(Layers::orphan_entry(name)); }

}  // namespace unionfs

// Finds where an object is, as (descriptor, name). If the cache closed a descriptor, it is reopened from its parent's.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "unionfs/tree/preserved_times.h"
#include "unionfs/tree/union.h"

namespace unionfs {

namespace {

// A name is opened long after its lookup, and others may write to a layer's directories. So check that the name still leads to
// the object on which the caller's permissions were checked.
int check_same(int fd, const Key &known) {
    struct stat status{};
    if (::fstat(fd, &status) < 0) return errno;
    return known.inode == 0 || key_of(status) == known ? 0 : ESTALE;
}

}  // namespace

// Opens each directory on the way down from the nearest one that is open. A layer may be arbitrarily deep.
int Union::lower_dir(const LowerDirRef &dir, FdRef &fd) {
    LowerDir *at = dir.get();
    std::vector<LowerDir *> closed;
    for (; at->parent && !(fd = cache.get(at->slot)); at = at->parent.get()) closed.push_back(at);
    if (!at->parent) fd = layers.lowers[at->layer];
    for (; !closed.empty(); closed.pop_back()) {
        at = closed.back();
        base::Fd opened(::openat(fd->get(), at->name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!opened) return errno;
        if (const int error = check_same(opened.get(), at->key); error != 0) return error;
        fd = cache.put(at->slot, std::move(opened));
    }
    return 0;
}

// Opens a separate descriptor, for reading the names.
int Union::open_lower_dir(const LowerDirRef &dir, base::Fd &fd) {
    FdRef above = dir->parent ? cache.get(dir->slot) : layers.lowers[dir->layer];
    const char *name = ".";
    if (!above) {
        if (const int error = lower_dir(dir->parent, above); error != 0) return error;
        name = dir->name.c_str();
    }
    fd.reset(::openat(above->get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    return fd ? check_same(fd.get(), dir->key) : errno;
}

// Like lower_dir(), but upper directories move. ESTALE: one just did.
int Union::open_upper_dir(Node &node, FdRef &fd) {
    std::vector<HeldLink> closed;  // the links of the directories to open, innermost first
    Node *at = &node;
    if (node.orphan_name != 0 && !cache.get(node.slot)) {  // a removed directory: open what replaces it
        const std::string entry = Layers::orphan_entry(node.orphan_name);
        base::Fd opened(::openat(layers.work->get(), entry.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!opened) return errno;
        if (const int error = check_same(opened.get(), {node.upper_key.device, node.orphan_name}); error != 0) return error;
        fd = cache.put(node.slot, std::move(opened));
        return 0;
    }
    for (; at != root && !(fd = at->orphan()) && !(fd = cache.get(at->slot)); at = closed.back()->parent) {
        std::optional<HeldLink> link = table.hold_first_link(at);
        if (!link) return ENOENT;
        closed.push_back(std::move(*link));
    }
    if (at == root) fd = layers.upper;
    for (; !closed.empty(); closed.pop_back()) {
        Node &below = closed.size() == 1 ? node : *closed[closed.size() - 2]->parent;
        base::Fd opened(::openat(fd->get(), closed.back()->name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!opened && errno != ENOENT && errno != ENOTDIR) return errno;
        if (!opened || check_same(opened.get(), below.upper_key) != 0) return ESTALE;
        fd = cache.put(below.slot, std::move(opened));
    }
    return 0;
}

int Union::upper_dir(Node &node, FdRef &fd) {
    // A parent directory may be renamed after its name was read and before it is opened. Then try again.
    int error = ESTALE;
    for (int attempt = 0; attempt < 16 && error == ESTALE; ++attempt) error = open_upper_dir(node, fd);
    return error == ENOENT ? ESTALE : error;
}

int Union::resolve_upper(Node &node, Location &place) {
    if (node.is_dir()) {
        place.name = ".";
        return upper_dir(node, place.dir);
    }
    if (FdRef left = node.orphan()) {
        place.dir = std::move(left);
        return 0;
    }
    if (node.orphan_name != 0) {
        place.dir = layers.work;
        place.name = Layers::orphan_entry(node.orphan_name);
        return 0;
    }
    if (node.indexed) {
        place.dir = layers.links;
        place.name = HardLinks::name_of(node.shown_inode);
        return 0;
    }
    const auto leads_to = [&](const Link &link, bool is_only) {
        struct stat status{};
        if (const int error = upper_dir(*link.parent, place.dir); error != 0) return error;
        place.name = link.name;
        if (is_only) return 0;  // no need to check what it leads to
        return ::fstatat(place.fd(), link.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && key_of(status) == node.upper_key
                   ? 0
                   : ESTALE;
    };
    // Any of a hard link's names will do, and there may be many. So try the first, unless it changed behind our back.
    const std::optional<Link> first = table.first_link(&node);
    if (!first) return ESTALE;
    int error = leads_to(*first, !table.has_several_names(&node));
    if (error == 0 || !table.has_several_names(&node)) return error;
    for (const Link &link : table.links(&node))
        if (error = leads_to(link, false); error == 0) return 0;
    return error;
}

int Union::resolve(Node &node, Location &place) { return node.upper ? resolve_upper(node, place) : resolve_lower(node, place); }

// Uses the file's own descriptor if it is open. That needs no lookup, and the names may change.
bool Union::find_open(Node &node, Location &place) {
    if (!node.upper || !node.is_file()) return false;  // the slot has the upper's file as soon as `upper` is true
    place.dir = cache.get(node.slot);
    place.name.clear();
    return place.dir != nullptr;
}

int Union::resolve_open(Node &node, Location &place) {
    if (find_open(node, place)) return 0;
    if (const int error = resolve(node, place); error != 0) return error;
    return take_hold(node, place);
}

// Someone who writes to a layer's directory may exchange two files between the check and the change. So this opens the object,
// compares it, and replaces its name by the descriptor.
int Union::take_hold(const Node &node, Location &place) {
    if (node.is_dir() || place.name.empty()) return 0;
    base::Fd opened(::openat(place.fd(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!opened) return errno;
    if (const int error = check_same(opened.get(), node.upper ? node.upper_key : node.lower_key); error != 0) return error;
    place.dir = std::make_shared<const base::Fd>(std::move(opened));
    place.name.clear();
    return 0;
}

int Union::resolve_held(Node &node, Location &place) {
    if (!node.upper) return resolve_lower(node, place);
    if (find_open(node, place)) return 0;
    if (!node.is_dir()) place.held = std::unique_lock(node.mutex);
    return resolve_upper(node, place);
}

int Union::resolve_lower(Node &node, Location &place) {
    if (node.is_dir()) {
        place.name = ".";
        return node.lowers.empty() ? ESTALE : lower_dir(node.lowers.front(), place.dir);
    }
    if (!node.lower_parent) return ESTALE;
    place.name = node.lower_name;
    return lower_dir(node.lower_parent, place.dir);
}

int Union::data(Node &node, bool write, FdRef &fd) {
    if (!node.is_file()) return node.is_dir() ? EISDIR : EINVAL;
    if (write)
        if (const int error = copy_up(node); error != 0) return error;
    const std::lock_guard lock(node.mutex);
    if ((fd = node.orphan())) return 0;
    if ((fd = cache.get(node.slot)) && (!write || node.slot_writable)) return 0;
    cache.drop(node.slot);
    node.slot_writable = false;
    Location place;
    if (const int error = resolve(node, place); error != 0) return error;
    const int access = node.upper ? O_RDWR : O_RDONLY;
    base::Fd opened(
        ::openat(place.fd(), place.name.c_str(), access | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (node.upper ? 0 : O_NOATIME)));
    node.slot_appends = false;
    if (!opened && errno == EPERM && node.upper) {  // append-only, or immutable
        opened.reset(::openat(place.fd(), place.name.c_str(), O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
        node.slot_appends = opened.valid();
    }
    const bool writable = node.upper && opened.valid();
    const bool may_read = !write || (errno == EPERM && !node.upper);
    if (!opened && may_read && (errno == EPERM || errno == EACCES || errno == EROFS))  // rootless: not ours, or not writable
        opened.reset(::openat(place.fd(), place.name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!opened) return errno;
    if (const int error = check_same(opened.get(), node.upper ? node.upper_key : node.lower_key); error != 0) return error;
    if (const int error = layers.marks.check_has_data(opened.get()); error != 0) return error;
    node.slot_writable = writable;
    fd = cache.put(node.slot, std::move(opened));
    return 0;
}

void Union::show(const Node &node, struct stat &status) const {
    if (node.is_dir() && node.upper && !node.lowers.empty()) status.st_nlink = 1;  // tells find(1) that the count means nothing
    if (node.is_dir() && node.upper) apply_shown(node, status);
    if (node.is_dir() && node.removed) status.st_nlink = 0;  // a lower directory still exists
    if (!node.is_dir() && node.orphan_name != 0 && status.st_nlink > 0) --status.st_nlink;
    status.st_ino = node.shown_inode;
    if (node.indexed)
        status.st_nlink = hard_links.count_names(node.shown_inode, status.st_nlink);
    else if (!node.upper)
        status.st_nlink = static_cast<nlink_t>(std::max(0, static_cast<int>(status.st_nlink) + node.names_changed()));
}

void Union::drop_data(Node &node) {
    cache.drop(node.slot);
    node.slot_writable = false;
    node.slot_appends = false;
}

void Union::open_anew(Node &node) {
    const std::lock_guard lock(node.mutex);
    drop_data(node);
}

void Union::changed_by_us(const Node &node) const {
    if (attributes_changed) attributes_changed(node);
}

int Union::attributes(Node &node, struct stat &status) {
    Location place;
    const bool of_lower = !node.upper;
    if (const int error = resolve_held(node, place); error != 0) return error;
    const int result =
        node.is_dir() ? ::fstat(place.fd(), &status) : ::fstatat(place.fd(), place.name.c_str(), &status, place.flags());
    if (result < 0) return errno;
    // The name may lead to something else by now. If its type differs, the kernel reports EIO.
    if (!node.is_dir() && !place.name.empty()) {
        const bool as_lower = of_lower && key_of(status) == node.lower_key;
        if (!as_lower && (!node.upper || key_of(status) != node.upper_key)) return ESTALE;
    }
    show(node, status);
    return 0;
}

}  // namespace unionfs

// Looks up a name in a directory of the union: finds the topmost layer that has it, and for directories all layers that merge.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "unionfs/tree/listing.h"
#include "unionfs/tree/union.h"
#include "unionfs/upper/redirect.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

LowerDirRef Union::lower_child(const LowerDirRef &parent, const std::string &name, const Key &key) {
    auto dir = std::make_shared<LowerDir>();
    dir->parent = parent;
    dir->name = name;
    dir->key = key;
    dir->layer = parent->layer;
    dir->last = parent->last;
    dir->cache = &cache;
    return dir;
}

namespace {

// The path of a directory in the layers further down. Redirects change it from one layer to the next.
struct Trail {
    const std::vector<LowerDirRef> *from;  // the directories where the path starts
    std::vector<std::string> names;

    // `tail`: the number of names after the one that has the redirect.
    int turn(Union &fs, const std::string &target, size_t tail) {
        if (fs.layers.marks.anybody_may_set())
            return EPERM;  // anyone who may write to the directory can set this; unionfs never does
        auto to = redirect_names(target);
        if (!to) return EINVAL;
        const auto after = names.end() - static_cast<std::ptrdiff_t>(tail);
        if (!target.starts_with('/')) {
            *(after - 1) = to->front();
            return 0;
        }
        to->insert(to->end(), after, names.end());
        names = std::move(*to);
        from = &fs.root->lowers;
        return 0;
    }

    [[nodiscard]] LowerDirRef begin_in(size_t layer) const {
        const auto at = std::ranges::lower_bound(*from, layer, {}, [](const LowerDirRef &dir) { return dir->layer; });
        return at != from->end() && (*at)->layer == layer ? *at : nullptr;
    }
};

// Finds the directories that merge with a redirected directory, from `layer` downwards. The layer above has the redirect.
int follow_redirect(Union &fs, const std::string &target, const std::vector<LowerDirRef> &beside, size_t layer, Found &found) {
    Trail trail{.from = &beside, .names = {""}};
    if (const int error = trail.turn(fs, target, 0); error != 0) return error;
    for (bool hides = false; layer < fs.layers.lowers.size() && !hides; ++layer) {
        LowerDirRef dir = trail.begin_in(layer);
        Trail next = trail;
        struct stat status{};
        for (size_t i = 0; dir && i < trail.names.size(); ++i) {
            FdRef fd;
            const std::string &name = trail.names[i];
            if (const int error = fs.lower_dir(dir, fd); error != 0) return error;
            if (::fstatat(fd->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
                if (errno != ENOENT) return errno;
                dir = nullptr;
                break;
            }
            if (!S_ISDIR(status.st_mode)) return 0;  // a whiteout, or a file, which hides the rest too
            if (fs.layers.leads_back(status)) return ELOOP;
            dir = fs.lower_child(dir, name, key_of(status));
            if (dir->last) continue;
            if (!hides)
                if (const int error = fs.layers.marks.is_opaque(fd->get(), name.c_str(), hides); error != 0) return error;
            if (hides) continue;
            std::string further;
            if (const int error = fs.layers.marks.value(fd->get(), name.c_str(), "redirect", further); error != 0) return error;
            if (further.empty()) continue;
            if (const int error = next.turn(fs, further, trail.names.size() - 1 - i); error != 0) return error;
        }
        if (dir && found.lowers.empty()) found.lower_key = {status.st_dev, status.st_ino};
        if (dir) found.lowers.push_back(std::move(dir));
        trail = std::move(next);
    }
    return 0;
}

}  // namespace

int Union::probe(Node &parent, const std::string &name, Found &found, size_t first_layer) {
    if (name.size() > NAME_MAX) return ENAMETOOLONG;
    if (options.hides(name)) return ENOENT;
    if (parent.lost) return ESTALE;
    FdRef fd;
    struct stat status{};
    std::string target;  // of a redirect
    bool have = false, hides = false;
    if (parent.upper && first_layer == 0) {
        if (const int error = upper_dir(parent, fd); error != 0) return error;
        if (::fstatat(fd->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
            if (const int error = layers.marks.is_whiteout(fd->get(), name.c_str(), status, hides); error != 0) return error;
            if (hides) return ENOENT;
            if (layers.leads_back(status)) return ELOOP;
            found.status = status;
            found.upper = have = true;
            if (!S_ISDIR(status.st_mode)) return 0;
            if (const int error = layers.marks.value(fd->get(), name.c_str(), "redirect", target); error != 0) return error;
            if (target.empty() && parent.lowers.empty()) return 0;
            if (const int error = layers.marks.is_opaque(fd->get(), name.c_str(), hides); error != 0 || hides) return error;
            if (!target.empty()) return follow_redirect(*this, target, parent.lowers, 0, found);
        } else if (errno != ENOENT) {
            return errno;
        }
    }
    for (const LowerDirRef &dir : parent.lowers) {
        if (dir->layer + 1 < first_layer) continue;
        if (const int error = lower_dir(dir, fd); error != 0) return error;
        if (::fstatat(fd->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) continue;
            return errno;
        }
        if (const int error = layers.marks.is_whiteout(fd->get(), name.c_str(), status, hides); error != 0) return error;
        if (hides) break;
        if (!S_ISDIR(status.st_mode)) {
            if (have) break;  // a file beneath a directory is hidden
            found.status = status;
            found.lower_parent = dir;
            found.lower_key = {status.st_dev, status.st_ino};
            if (status.st_nlink <= 1 || !layers.links) return 0;
            bool let_go = false;
            if (const int error = find_copy(found, let_go); error != 0) return error;
            return let_go ? probe(parent, name, found = {}) : 0;
        }
        if (layers.leads_back(status)) return ELOOP;
        if (!have) found.status = status;
        if (found.lowers.empty()) found.lower_key = {status.st_dev, status.st_ino};
        have = true;
        found.lowers.push_back(lower_child(dir, name, key_of(status)));
        if (dir->last) continue;
        if (const int error = layers.marks.is_opaque(fd->get(), name.c_str(), hides); error != 0) return error;
        if (hides) break;
        if (const int error = layers.marks.value(fd->get(), name.c_str(), "redirect", target); error != 0) return error;
        if (!target.empty()) return follow_redirect(*this, target, parent.lowers, dir->layer + 1, found);
    }
    return have ? 0 : ENOENT;
}

// If another name of a lower hard link was copied up, this name leads to that copy too. `let_go`: the copy just left the index,
// because the upper has this name as well.
int Union::find_copy(Found &found, bool &let_go) {
    const ino_t number = layers.number_of(found.lower_key);
    if (hard_links.find(number) == 0) return 0;
    const std::string entry = HardLinks::name_of(number);
    if (::fstatat(layers.links->get(), entry.c_str(), &found.status, AT_SYMLINK_NOFOLLOW) < 0) {
        const int error = errno;
        let_go = error == ENOENT && hard_links.find(number) == 0;
        return let_go ? 0 : error;
    }
    found.upper = true;
    found.indexed = number;
    return 0;
}

// 0: there is no number, or the lower may have given it to another file since.
ino_t Union::number_before_copy_up(const base::Fd &dir, const std::string &name) const {
    std::string origin;
    ino_t number = 0;
    if (layers.marks.value(dir.get(), name.c_str(), "unionfs.ino", origin) != 0) return 0;
    const char *const end = origin.data() + origin.size();
    const char *const space = std::from_chars(origin.data(), end, number).ptr;  // a damaged number counts as none
    if (end - space > 2 && *space == ' ' && layers.is_gone(std::string(space + 1, end), number)) return 0;
    return number;
}

Node *Union::intern(Node &parent, const std::string &name, Found &found) {
    const Key key{found.status.st_dev, found.status.st_ino};
    ino_t shown = found.indexed;
    if (found.upper && !found.is_new && !S_ISDIR(found.status.st_mode)) {
        if (Node *known = table.find(key); known != nullptr) {
            table.add_link(known, &parent, name);
            return known;
        }
        FdRef dir;
        if (shown == 0 && upper_dir(parent, dir) == 0) shown = number_before_copy_up(*dir, name);
    }
    if (shown == 0) {
        // A directory keeps its topmost lower's number, whether it was copied up or not.
        shown = layers.number_of(S_ISDIR(found.status.st_mode) && found.lower_key.inode != 0 ? found.lower_key : key);
    }
    return table.intern(key, &parent, name, [&](Node &node) {
        node.shown_inode = shown;
        node.type = found.status.st_mode & S_IFMT;
        node.upper = found.upper;
        node.indexed = found.upper && !node.is_dir() && hard_links.find(shown) == key.inode;
        (found.upper ? node.upper_key : node.lower_key) = key;
        node.lowers = std::move(found.lowers);
        if (!found.upper && found.status.st_nlink > 1 && !node.is_dir()) node.nlink_change = -hard_links.removed(shown);
        if (found.lower_parent) {
            node.lower_parent = std::move(found.lower_parent);
            node.lower_name = name;
        }
    });
}

// Interns an object that was just made in the upper. It has no marks, and nothing lies beneath it. A file's descriptor is kept.
int Union::intern_made(Node &parent, const std::string &name, base::Fd file, Node *&node, struct stat &status) {
    FdRef dir;
    if (!file)
        if (const int error = upper_dir(parent, dir); error != 0) return error;
    if ((file ? ::fstat(file.get(), &status) : ::fstatat(dir->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW)) < 0)
        return errno;
    Found found{.status = status, .upper = true, .is_new = true};
    node = intern(parent, name, found);
    if (!file) {
        show(*node, status);
        return 0;
    }
    const std::lock_guard lock(node->mutex);
    (void)cache.put(node->slot, std::move(file));
    node->slot_writable = true;
    show(*node, status);
    return 0;
}

int Union::lookup(Node &parent, const std::string &name, Node *&node, struct stat &status, size_t first_layer) {
    Found found;
    if (const int error = probe(parent, name, found, first_layer); error != 0) return error;
    status = found.status;
    const bool linked = !found.upper && !S_ISDIR(status.st_mode) && status.st_nlink > 1;
    node = intern(parent, name, found);
    if (found.indexed != 0) {
        table.add_lower_key(node, found.lower_key);
        (void)bring_name(*node, parent, name);  // if that fails, the index still serves the name
    }
    if (found.indexed == 0 && !(linked && node->upper)) {
        show(*node, status);
        return 0;
    }
    const int error = attributes(*node, status);  // the copy's attributes
    if (error != 0) table.forget(std::exchange(node, nullptr), 1);
    return error;
}

int Union::lower_has(Node &parent, const std::string &name, bool &has) {
    has = false;
    for (const LowerDirRef &dir : parent.lowers) {
        FdRef fd;
        struct stat status{};
        bool hides = false;
        if (const int error = lower_dir(dir, fd); error != 0) return error;
        if (::fstatat(fd->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) continue;
            return errno;
        }
        const int error = layers.marks.is_whiteout(fd->get(), name.c_str(), status, hides);
        has = error == 0 && !hides;
        return error;
    }
    return 0;
}

int Union::is_empty(Node &directory) {
    Listing listing;
    if (const int error = listing.load(*this, directory); error != 0) return error;
    return listing.entries.empty() ? 0 : ENOTEMPTY;
}

}  // namespace unionfs

#include "unionfs/upper/hard_links.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <set>
#include <string_view>

#include "unionfs/tree/preserved_times.h"
#include "unionfs/tree/union.h"
#include "unionfs/upper/workdir.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

namespace {

constexpr const char *removals = "removed";

}  // namespace

ino_t HardLinks::find(ino_t number) {
    const std::lock_guard lock(mutex_);
    const auto found = copies_.find(number);
    return found == copies_.end() ? 0 : found->second;
}

void HardLinks::add(ino_t number, ino_t inode) {
    const std::lock_guard lock(mutex_);
    copies_[number] = inode;
}

void HardLinks::remove(ino_t number) {
    const std::lock_guard lock(mutex_);
    copies_.erase(number);
}

int HardLinks::removed(ino_t number) {
    const std::lock_guard lock(mutex_);
    const auto found = removed_.find(number);
    return found == removed_.end() ? 0 : found->second;
}

void HardLinks::note_removal(ino_t number, const std::string &path) {
    std::string record = std::to_string(number) + " " + path;
    record.push_back('\0');
    const std::lock_guard lock(mutex_);
    struct stat status{};
    if (!removals_) removals_ = open_inside(folder->get(), removals, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0600);
    if (!removals_ || ::fstat(removals_.get(), &status) < 0 || !why_no_note(status, most_removals).empty()) return;
    (void)!::write(removals_.get(), record.data(), record.size());  // a later mount counts one name too many then
}

void HardLinks::count_removal(ino_t number) {
    const std::lock_guard lock(mutex_);
    ++removed_[number];
}

namespace {

constexpr const char *origin = "unionfs.origin";
constexpr const char *names = "unionfs.names";

int set_text(const Union &fs, int dir, const std::string &name, const char *attribute, const std::string &text) {
    return -set_xattr(dir, name.c_str(), (fs.mark + attribute).c_str(), text.data(), text.size());
}

// The names in the union of a copy that has `on_disk` links, its index's among them.
nlink_t names_of(const Union &fs, const std::string &entry, nlink_t on_disk) {
    std::array<char, 24> text{};
    const ssize_t n = get_xattr(fs.hard_links.folder->get(), entry.c_str(), (fs.mark + names).c_str(), text.data(), text.size());
    long value = 0;
    if (n < 0 && n != -ENODATA) return on_disk;  // not known: more than the index has, so that nothing is given up
    if (n <= 0) return on_disk - 1;
    (void)std::from_chars(text.data() + (text[0] == '=' ? 1 : 0), text.data() + n, value);  // a damaged one counts as none
    return static_cast<nlink_t>(std::max(0L, text[0] == '=' ? value : static_cast<long>(on_disk) + value));
}

// Whether a lower still has the file of which that is the copy.
bool is_of_these_lowers(const Union &fs, const std::string &path, ino_t number) {
    return path.size() > 1 && std::ranges::any_of(fs.lowers, [&](const FdRef &lower) {
               struct stat status{};
               return ::fstatat(lower->get(), path.c_str() + 1, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(status.st_mode) &&
                      fs.number_of({status.st_dev, status.st_ino}) == number;
           });
}

// Whether the upper knows of the copy: at its first name is itself, or what hides the lower's file. When that shows
// through, the upper was emptied or the copy-up cut short; when another copy is there, the upper was copied apart. What
// can't be read counts as known, for the copy may be the only one.
bool is_of_this_upper(const Union &fs, const std::string &path, ino_t number, ino_t inode) {
    base::Fd at(::fcntl(fs.upper->get(), F_DUPFD_CLOEXEC, 0));
    for (size_t begin = 1; at && begin < path.size();) {
        const size_t end = std::min(path.find('/', begin), path.size());
        const std::string name = path.substr(begin, end - begin);
        begin = end + 1;
        struct stat status{};
        bool hides = false;
        std::string value;
        if (::fstatat(at.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return errno != ENOENT;
        if (fs.is_whiteout(at.get(), name.c_str(), status, hides) != 0 || hides) return true;
        if (!S_ISDIR(status.st_mode))
            return status.st_ino == inode || fs.mark_value(at.get(), name.c_str(), "unionfs.ino", value) != 0 ||
                   value != std::to_string(number);
        if (fs.is_opaque(at.get(), name.c_str(), hides) != 0 || hides) return true;
        if (fs.mark_value(at.get(), name.c_str(), "redirect", value) != 0 || !value.empty()) return true;
        at.reset(::openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    }
    return true;
}

std::string content_of(int dir, const char *name) {
    std::string text;
    const base::Fd fd = open_inside(dir, name, O_RDONLY | O_NONBLOCK);
    struct stat status{};
    if (!fd || ::fstat(fd.get(), &status) < 0 || !why_no_note(status, most_removals).empty()) return text;
    text.resize(static_cast<size_t>(status.st_size));
    const ssize_t n = ::read(fd.get(), text.data(), text.size());
    text.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return text;
}

}  // namespace

// Counts the names that are gone. What turned out not to be, or stands there twice, is left out of the file.
void Union::load_removals() {
    const int folder = hard_links.folder->get();
    const std::string text = content_of(folder, removals);
    std::string kept;
    std::set<std::string_view> seen;
    for (size_t begin = 0, end = 0; (end = text.find('\0', begin)) != std::string::npos; begin = end + 1) {
        const std::string_view record(text.data() + begin, end - begin);
        ino_t number = 0;
        const char *const space = std::from_chars(record.data(), record.data() + record.size(), number).ptr;
        if (number == 0 || *space != ' ') continue;  // zeros are what a power cut may leave of what was written last
        const std::string path(space + 1);
        const bool ours = is_of_these_lowers(*this, path, number);
        if (!seen.insert(record).second || (ours && !is_of_this_upper(*this, path, number, 0))) continue;
        if (ours) hard_links.count_removal(number);
        kept.append(record).push_back('\0');
    }
    if (kept.size() == text.size()) return;
    const std::string entry = work_name();
    const base::Fd fd(::openat(work->get(), entry.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (fd && ::write(fd.get(), kept.data(), kept.size()) == static_cast<ssize_t>(kept.size()))
        (void)::renameat(work->get(), entry.c_str(), folder, removals);  // else the longer one stays, which says the same
    discard(entry);
}

// What the index holds. What is another stack's is left alone; what is of no use, and what this upper never heard of, goes.
void Union::load_hard_links() {
    if (!hard_links.folder) return;
    load_removals();
    const int folder = hard_links.folder->get();
    std::vector<std::string> garbage;
    DIR *entries = ::fdopendir(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    while (const dirent *entry = entries == nullptr ? nullptr : ::readdir(entries)) {
        const std::string name(entry->d_name);
        ino_t number = 0;
        struct stat status{};
        if (std::from_chars(name.data(), name.data() + name.size(), number).ptr != name.data() + name.size())
            continue;  // . and ..
        if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(status.st_mode)) continue;
        std::string path;
        if (mark_value(folder, name.c_str(), origin, path) != 0) continue;
        if (!is_of_these_lowers(*this, path, number)) continue;
        if (names_of(*this, name, status.st_nlink) < status.st_nlink || !is_of_this_upper(*this, path, number, status.st_ino))
            garbage.push_back(name);
        else
            hard_links.add(number, status.st_ino);
    }
    if (entries != nullptr) ::closedir(entries);
    for (const std::string &name : garbage) (void)::unlinkat(folder, name.c_str(), 0);  // tried again at the next mount
}

nlink_t Union::count_names(const Node &node, nlink_t on_disk) const {
    return names_of(*this, HardLinks::name_of(node.shown_inode), on_disk);
}

// The name of a lower file in its layer, for one of its names in the union; without that the one that it was found by.
std::string Union::lower_name(const Node &node, const Link *link) {
    for (const LowerDirRef &dir : link == nullptr ? std::vector<LowerDirRef>{} : link->parent->lowers) {
        FdRef fd;
        struct stat status{};
        if (lower_dir(dir, fd) != 0 || ::fstatat(fd->get(), link->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (Key{status.st_dev, status.st_ino} == node.lower_key) return lower_path(dir) + "/" + link->name;
    }
    return lower_path(node.lower_parent) + "/" + node.lower_name;
}

// Of a copy that still lies in the work folder. False: it can't be marked (user.* goes on files only), and its further
// names are lost over a remount.
bool Union::mark_hard_link(const Node &node, const std::vector<Link> &links, const std::string &entry, const struct stat &lower) {
    const long left = static_cast<long>(lower.st_nlink) + node.names_changed();
    return set_text(*this, work->get(), entry, origin, lower_name(node, links.empty() ? nullptr : &links.front())) == 0 &&
           set_text(*this, work->get(), entry, names, "=" + std::to_string(left)) == 0;
}

// A name that shows a lower hard link, of which the copy is in the index: from now on it is in the upper, where overlayfs
// sees it, and where it can be moved and removed. The Node is locked.
int Union::link_up(Node &node, Node &parent, const std::string &name) {
    FdRef dir;
    struct stat status{};
    if (const int error = copy_up(parent); error != 0) return error;
    if (const int error = upper_dir(parent, dir); error != 0) return error;
    if (::fstatat(dir->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return 0;
    Where from;
    if (const int error = where_upper(node, from); error != 0) return error;
    if (node.indexed) {
        if (::fstatat(from.fd(), from.name.c_str(), &status, from.flags()) < 0) return errno;
        const std::string count = "=" + std::to_string(count_names(node, status.st_nlink));
        if (const int error = set_text(*this, from.fd(), from.name, names, count); error != 0) return error;
    }
    const UnseenChange unseen(parent, dir);
    const int how = from.name.empty() ? AT_EMPTY_PATH : 0;
    return ::linkat(from.fd(), from.name.c_str(), dir->get(), name.c_str(), how) < 0 && errno != EEXIST ? errno : 0;
}

// Before a link is made or removed. The Node is locked.
int Union::count_by_links(const Node &node) {
    const std::string entry = HardLinks::name_of(node.shown_inode);
    struct stat status{};
    if (::fstatat(hard_links.folder->get(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return errno;
    const long difference = static_cast<long>(names_of(*this, entry, status.st_nlink)) - static_cast<long>(status.st_nlink);
    return set_text(*this, hard_links.folder->get(), entry, names, std::to_string(difference));
}

// After a change of names: the copy of which all names are in the upper needs no index, nor does one that has none. True:
// it has none. The Node is locked.
bool Union::leave_index(Node &node) {
    const std::string entry = HardLinks::name_of(node.shown_inode);
    struct stat status{};
    if (::fstatat(hard_links.folder->get(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return false;
    const nlink_t left = names_of(*this, entry, status.st_nlink);
    if (left >= status.st_nlink) return false;
    node.indexed = false;
    hard_links.remove(node.shown_inode);
    (void)::unlinkat(hard_links.folder->get(), entry.c_str(), 0);  // tried again at the next mount
    return left == 0;
}

int Union::bring_name(Node &node, Node &parent, const std::string &name) {
    const std::lock_guard lock(node.mutex);
    if (!node.indexed) return 0;
    const int error = link_up(node, parent, name);
    if (error == 0) (void)leave_index(node);
    changed_by_us(node);
    return error;
}

}  // namespace unionfs

#include "unionfs/upper/hard_links.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <set>
#include <string_view>

#include "mounts/base/directory.h"
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
    if (!removals_) removals_ = open_inside(layers_.links->get(), removals, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0600);
    if (!removals_ || ::fstat(removals_.get(), &status) < 0 || !why_no_note(status, most_removals).empty()) return;
    (void)!::write(removals_.get(), record.data(), record.size());  // if this fails, a later mount counts one name too many
}

void HardLinks::count_removal(ino_t number) {
    const std::lock_guard lock(mutex_);
    ++removed_[number];
}

namespace {

constexpr const char *origin = "unionfs.origin";
constexpr const char *names_attribute = "unionfs.names";

// Whether a lower still has the file that was copied.
bool is_of_these_lowers(const Layers &layers, const std::string &path, ino_t number) {
    return path.size() > 1 && std::ranges::any_of(layers.lowers, [&](const FdRef &lower) {
               struct stat status{};
               return ::fstatat(lower->get(), path.c_str() + 1, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(status.st_mode) &&
                      layers.number_of({status.st_dev, status.st_ino}) == number;
           });
}

// Whether the upper knows the copy. It does if the copy's first name holds the copy itself or something that hides the lower's
// file. If the lower's file shows through, the upper was emptied or the copy-up was interrupted. If another copy is there, the
// upper was itself copied elsewhere. What can't be read counts as known, because this may be the only copy.
bool is_of_this_upper(const Layers &layers, const std::string &path, ino_t number, ino_t inode) {
    base::Fd at(::fcntl(layers.upper->get(), F_DUPFD_CLOEXEC, 0));
    for (size_t begin = 1; at && begin < path.size();) {
        const size_t end = std::min(path.find('/', begin), path.size());
        const std::string name = path.substr(begin, end - begin);
        begin = end + 1;
        struct stat status{};
        bool hides = false;
        std::string value;
        if (::fstatat(at.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return errno != ENOENT;
        if (layers.marks.is_whiteout(at.get(), name.c_str(), status, hides) != 0 || hides) return true;
        if (!S_ISDIR(status.st_mode))
            return status.st_ino == inode || layers.marks.value(at.get(), name.c_str(), "unionfs.ino", value) != 0 ||
                   !(value + " ").starts_with(std::to_string(number) + " ");
        if (layers.marks.is_opaque(at.get(), name.c_str(), hides) != 0 || hides) return true;
        if (layers.marks.value(at.get(), name.c_str(), "redirect", value) != 0 || !value.empty()) return true;
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

int HardLinks::set_text(int dir, const std::string &name, const char *attribute, const std::string &text) const {
    return layers_.marks.set(dir, name.c_str(), attribute, text);
}

nlink_t HardLinks::names_of(const std::string &entry, nlink_t on_disk) const {
    std::array<char, 24> text{};
    const std::string attribute = layers_.marks.prefix + names_attribute;
    const ssize_t n = get_xattr(layers_.links->get(), entry.c_str(), attribute.c_str(), text.data(), text.size());
    long value = 0;
    if (n < 0 && n != -ENODATA) return on_disk;  // unknown: more than the index has, so nothing is given up
    if (n <= 0) return on_disk - 1;
    (void)std::from_chars(text.data() + (text[0] == '=' ? 1 : 0), text.data() + n, value);  // a damaged count is 0
    return static_cast<nlink_t>(std::max(0L, text[0] == '=' ? value : static_cast<long>(on_disk) + value));
}

// Counts the names that are gone. Drops names from the file that still exist or are listed twice.
void HardLinks::load_removals() {
    const int directory = layers_.links->get();
    const std::string text = content_of(directory, removals);
    std::string kept;
    std::set<std::string_view> seen;
    for (size_t begin = 0, end = 0; (end = text.find('\0', begin)) != std::string::npos; begin = end + 1) {
        const std::string_view record(text.data() + begin, end - begin);
        ino_t number = 0;
        const char *const space = std::from_chars(record.data(), record.data() + record.size(), number).ptr;
        if (number == 0 || *space != ' ') continue;  // a power cut may leave zeros in place of the last write
        const std::string path(space + 1);
        const bool ours = is_of_these_lowers(layers_, path, number);
        if (!seen.insert(record).second || (ours && !is_of_this_upper(layers_, path, number, 0))) continue;
        if (ours) count_removal(number);
        kept.append(record).push_back('\0');
    }
    if (kept.size() == text.size()) return;
    const std::string entry = layers_.work_name();
    const base::Fd fd(::openat(layers_.work->get(), entry.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (fd && ::write(fd.get(), kept.data(), kept.size()) == static_cast<ssize_t>(kept.size()))
        (void)::renameat(layers_.work->get(), entry.c_str(), directory,
                         removals);  // if this fails, the longer file stays and says the same
    layers_.discard(entry);
}

// Reads the index. Leaves entries of other stacks alone. Removes entries that are no longer needed or that this upper doesn't
// know.
void HardLinks::load() {
    if (!layers_.links) return;
    load_removals();
    const int directory = layers_.links->get();
    std::vector<std::string> garbage;
    const auto entries = base::names_in(directory, "links");
    if (!entries) return;
    for (const std::string &name : *entries) {
        ino_t number = 0;
        struct stat status{};
        if (std::from_chars(name.data(), name.data() + name.size(), number).ptr != name.data() + name.size()) continue;
        if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(status.st_mode)) continue;
        std::string path;
        if (layers_.marks.value(directory, name.c_str(), origin, path) != 0) continue;
        if (!is_of_these_lowers(layers_, path, number)) continue;
        if (names_of(name, status.st_nlink) < status.st_nlink || !is_of_this_upper(layers_, path, number, status.st_ino))
            garbage.push_back(name);
        else
            add(number, status.st_ino);
    }
    for (const std::string &name : garbage) (void)::unlinkat(directory, name.c_str(), 0);  // retried at the next mount
}

bool HardLinks::mark(const std::string &work_entry, const std::string &path, long left) const {
    const int work = layers_.work->get();
    return set_text(work, work_entry, origin, path) == 0 &&
           set_text(work, work_entry, names_attribute, "=" + std::to_string(left)) == 0;
}

nlink_t HardLinks::count_names(ino_t number, nlink_t on_disk) const { return names_of(name_of(number), on_disk); }

int HardLinks::count_absolutely(ino_t number, int dir, const std::string &name, nlink_t on_disk) const {
    return set_text(dir, name, names_attribute, "=" + std::to_string(count_names(number, on_disk)));
}

int HardLinks::count_by_links(ino_t number) const {
    const std::string entry = name_of(number);
    struct stat status{};
    if (::fstatat(layers_.links->get(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return errno;
    const long difference = static_cast<long>(names_of(entry, status.st_nlink)) - static_cast<long>(status.st_nlink);
    return set_text(layers_.links->get(), entry, names_attribute, std::to_string(difference));
}

bool HardLinks::is_needless(ino_t number, nlink_t &left) const {
    const std::string entry = name_of(number);
    struct stat status{};
    if (::fstatat(layers_.links->get(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return false;
    left = names_of(entry, status.st_nlink);
    return left < status.st_nlink;
}

void HardLinks::remove(ino_t number, const std::string &orphan) {
    {
        const std::lock_guard lock(mutex_);
        copies_.erase(number);
    }
    const int links = layers_.links->get();
    const std::string entry = name_of(number);
    if (!orphan.empty() && ::renameat(links, entry.c_str(), layers_.work->get(), orphan.c_str()) == 0) return;
    (void)::unlinkat(links, entry.c_str(), 0);  // retried at the next mount
}

}  // namespace unionfs

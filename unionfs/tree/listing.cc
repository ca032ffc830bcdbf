#include "unionfs/tree/listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "unionfs/tree/union.h"

namespace unionfs {

namespace {

uint64_t cookie_of(std::string_view name) {
    uint64_t hash = 0xCBF29CE484222325ULL;  // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    hash ^= hash >> 29;
    return (hash & 0x7FFFFFFFFFFFFFFFULL) | 4;  // positive for off_t, and above the cookies of `.` and `..`
}

// A whiteout is a device, or an empty file with a mark.
int look_for_whiteout(const Union &fs, int dir, const dirent &entry, bool marked, unsigned char &type) {
    struct stat status{};
    bool is = false;
    type = entry.d_type;
    if (type != DT_CHR && type != DT_UNKNOWN && (type != DT_REG || !marked)) return 0;
    if (::fstatat(dir, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? 0 : errno;
    const int error = fs.layers.marks.is_whiteout(dir, entry.d_name, status, is);
    if (is) type = DT_WHT;
    return error == ENOENT ? 0 : error;
}

}  // namespace

int Listing::read_layer(Union &fs, int dir, uint16_t layer) {
    struct stat at{};
    const bool has_numbers = layer != 0 && ::fstat(dir, &at) == 0 && std::ranges::contains(fs.layers.devices, at.st_dev);
    bool marked = false;
    if (const int error = fs.layers.marks.may_hold_marked_whiteouts(dir, marked); error != 0) return error;
    static constexpr size_t size = 32768;
    alignas(dirent) static thread_local char buffer[size];  // a heap buffer would be mapped and unmapped each time
    for (;;) {
        const long n = ::syscall(SYS_getdents64, dir, buffer, size);
        if (n < 0) return errno;
        if (n == 0) return 0;
        if (entries.empty()) {
            entries.reserve(static_cast<size_t>(n) / sizeof(ListingEntry));
            names.reserve(static_cast<size_t>(n));
        }
        for (long at_byte = 0; at_byte < n;) {
            const auto &entry = *reinterpret_cast<const dirent *>(buffer + at_byte);
            at_byte += entry.d_reclen;
            const std::string_view name(entry.d_name);
            if (name == "." || name == "..") continue;
            if (fs.options.hides(name)) continue;
            unsigned char type = 0;
            if (const int error = look_for_whiteout(fs, dir, entry, marked, type); error != 0) return error;
            const bool has_number = has_numbers && type != DT_DIR && type != DT_UNKNOWN;
            entries.push_back({.cookie = cookie_of(name),
                               .number = has_number ? fs.layers.number_of({at.st_dev, entry.d_ino}) : 0,
                               .name = static_cast<uint32_t>(names.size()),
                               .layer = layer,
                               .type = type});
            names.insert(names.end(), name.data(), name.data() + name.size() + 1);
        }
    }
}

// Sorts by cookie, name and layer, and keeps the first of each name unless it is a whiteout. Sorting by name too, because
// whoever makes the names can make any number of them with the same cookie.
void Listing::keep_topmost() {
    const auto same_name = [this](const ListingEntry &one, const ListingEntry &other) {
        return one.cookie == other.cookie && std::strcmp(name_of(one), name_of(other)) == 0;
    };
    std::ranges::sort(entries, [this](const ListingEntry &one, const ListingEntry &other) {
        if (one.cookie != other.cookie) return one.cookie < other.cookie;
        const int order = std::strcmp(name_of(one), name_of(other));
        return order != 0 ? order < 0 : one.layer < other.layer;
    });
    const auto rest = std::ranges::unique(entries, same_name);
    entries.erase(rest.begin(), rest.end());
    std::erase_if(entries, [](const ListingEntry &entry) { return entry.type == DT_WHT; });
}

int Listing::load(Union &fs, Node &directory) {
    *this = {};
    if (directory.lost) return ESTALE;
    if (directory.upper) {
        FdRef dir;
        if (const int error = fs.upper_dir(directory, dir); error != 0) return error;
        const base::Fd fd(::openat(dir->get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!fd) return errno;
        if (const int error = read_layer(fs, fd.get(), 0); error != 0) return error;
    }
    for (const LowerDirRef &dir : directory.lowers) {
        base::Fd fd;
        if (const int error = fs.open_lower_dir(dir, fd); error != 0) return error;
        if (const int error = read_layer(fs, fd.get(), static_cast<uint16_t>(dir->layer + 1)); error != 0) return error;
    }
    keep_topmost();
    for (size_t i = 0; i < entries.size(); ++i) {
        if (i > 0) entries[i].cookie = std::max(entries[i].cookie, entries[i - 1].cookie + 1);
        files += entries[i].number != 0 ? 1 : 0;
        has_subdirectories |= entries[i].type == DT_DIR || entries[i].type == DT_UNKNOWN;
    }
    return 0;
}

}  // namespace unionfs

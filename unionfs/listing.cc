#include "unionfs/listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <unordered_map>

#include "unionfs/union.h"

namespace unionfs {

namespace {

uint64_t cookie_of(std::string_view name) {
    uint64_t hash = 0xCBF29CE484222325ULL;  // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    hash ^= hash >> 29;
    return (hash & 0x7FFFFFFFFFFFFFFFULL) | 4;  // positive, for off_t, and above those of `.` and `..`
}

// Calls `visit` for each name of a folder but `.` and `..`.
int read_names(int dir, const auto &visit) {
    const base::Fd fd(::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return errno;
    static constexpr size_t size = 32768;
    alignas(dirent) static thread_local char buffer[size];  // from the heap it would be mapped and unmapped each time
    for (;;) {
        const long n = ::syscall(SYS_getdents64, fd.get(), buffer, size);
        if (n < 0) return errno;
        if (n == 0) return 0;
        for (long at = 0; at < n;) {
            const auto *entry = reinterpret_cast<const dirent *>(buffer + at);
            at += entry->d_reclen;
            const std::string_view name(entry->d_name);
            if (name != "." && name != "..") visit(*entry, name);
        }
    }
}

}  // namespace

int Listing::load(Union &fs, Node &folder) {
    std::unordered_map<std::string, bool> seen;  // only where more than one layer speaks
    const size_t layers = (folder.upper ? 1U : 0U) + folder.lowers.size();
    entries.clear();
    files = 0;
    has_subfolders = false;
    for (size_t i = 0; i < layers; ++i) {
        const bool in_upper = folder.upper && i == 0;
        const LowerDirRef *lower = in_upper ? nullptr : &folder.lowers[i - (folder.upper ? 1 : 0)];
        FdRef fd;
        if (const int error = in_upper ? fs.upper_dir(folder, fd) : fs.lower_dir(*lower, fd); error != 0) return error;
        const unsigned layer = in_upper ? 0 : static_cast<unsigned>((*lower)->layer) + 1;
        struct stat at{};
        const bool has_numbers = !in_upper && ::fstat(fd->get(), &at) == 0 && std::ranges::contains(fs.devices, at.st_dev);
        const int error = read_names(fd->get(), [&](const dirent &entry, std::string_view name) {
            std::string text(name);
            if (fs.options.hide_meta_files && (name.starts_with(".unionfs") || name.starts_with(".fuse_hidden"))) return;
            if (layers > 1 && !seen.emplace(text, true).second) return;
            struct stat status{};
            // A whiteout is a device, or an empty file with a mark.
            if ((entry.d_type == DT_CHR || entry.d_type == DT_UNKNOWN || (entry.d_type == DT_REG && fs.mark[0] == 'u')) &&
                ::fstatat(fd->get(), text.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                fs.is_whiteout(fd->get(), text.c_str(), status))
                return;
            const bool is_folder = entry.d_type == DT_DIR || entry.d_type == DT_UNKNOWN;
            const ino_t number = has_numbers && !is_folder ? fs.number_of({at.st_dev, entry.d_ino}) : 0;
            has_subfolders |= is_folder;
            files += number != 0 ? 1 : 0;
            entries.push_back({cookie_of(name), number, layer, entry.d_type, std::move(text)});
        });
        if (error != 0) return error;
    }
    std::ranges::sort(entries, {}, &ListingEntry::cookie);
    for (size_t i = 1; i < entries.size(); ++i) entries[i].cookie = std::max(entries[i].cookie, entries[i - 1].cookie + 1);
    return 0;
}

}  // namespace unionfs

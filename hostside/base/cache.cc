#include "hostside/base/cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <system_error>
#include <vector>

#include "mounts/base/at.h"
#include "mounts/base/fnv.h"

namespace hostside {

namespace {

// A launcher that found an entry, or its QEMU, opens it within this time, even on a busy host.
constexpr auto in_use = std::chrono::minutes(10);

// Removes the oldest entries until the rest fits. Keeps `needed`, which is about to be read, and entries that were just used.
void trim(const std::string &directory, const std::string &needed, uint64_t limit_bytes) {
    namespace fs = std::filesystem;
    struct Entry {
        fs::file_time_type used;
        uintmax_t bytes;
        fs::path path;
    };
    std::vector<Entry> entries;
    uintmax_t all = 0;
    std::error_code error;
    std::vector<fs::path> links;
    for (const auto &file : fs::directory_iterator(directory, error)) {
        std::error_code gone;  // another launcher trims too
        if (file.is_symlink(gone)) links.push_back(file.path());
        if (!file.is_regular_file(gone) || file.is_symlink(gone)) continue;
        const Entry entry{file.last_write_time(gone), file.file_size(gone), file.path()};
        if (gone) continue;
        all += entry.bytes;
        if (entry.path != needed) entries.push_back(entry);
    }
    // Remove its links first; otherwise the links of a removed entry would stay forever.
    const auto remove_links_of = [&](const fs::path &entry) {
        for (const auto &link : links)
            if (link.string().starts_with(entry.string() + ".")) fs::remove(link, error);
    };
    for (const auto &link : links)
        if (std::error_code gone; !fs::exists(link.parent_path() / link.stem(), gone)) fs::remove(link, gone);
    std::ranges::sort(entries, {}, &Entry::used);
    const auto now = fs::file_time_type::clock::now();
    for (const auto &entry : entries) {
        if (all <= limit_bytes || entry.used > now - in_use) return;
        remove_links_of(entry.path);
        if (fs::remove(entry.path, error)) all -= entry.bytes;
    }
}

}  // namespace

std::string cache_path(std::string_view name, CacheRoom room) {
    const char *cache = std::getenv("XDG_CACHE_HOME");
    const char *home = std::getenv("HOME");
    std::filesystem::path parent;
    if (cache != nullptr && *cache == '/')
        parent = cache;
    else if (home != nullptr && *home == '/')
        parent = std::filesystem::path(home) / ".cache";
    else
        return {};
    // Nix's builders set HOME=/homeless-shelter, which does not exist, so that nothing is written there.
    if (::access(parent.parent_path().c_str(), X_OK) < 0) return {};
    const auto cache_directory = parent / "runvm";
    const auto directory = room.directory.empty() ? cache_directory : cache_directory / room.directory;
    const std::array levels{directory, cache_directory, parent, parent.parent_path()};
    // Their owner could put any initrd there, or a link to where we must not write. sudo may leave HOME as it was.
    for (const auto &level : levels)
        if (struct stat st{}; ::stat(level.c_str(), &st) == 0 && st.st_uid != ::geteuid() && st.st_uid != 0) return {};
    for (const auto &level : levels) {
        if (::access(level.c_str(), W_OK | X_OK) == 0) return directory / name;
        if (errno != ENOENT) break;
    }
    return {};
}

std::string file_identity(const std::string &path) {
    struct stat st{};
    if (::stat(path.c_str(), &st) < 0) return "absent";
    return std::format("{}:{}:{}:{}:{}.{}", path, st.st_dev, st.st_ino, st.st_size, st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

std::string short_hash(std::string_view text) { return std::format("{:016x}", base::fnv1a(text)); }

std::optional<std::string> cached(const std::string &path) {
    if (path.empty()) return std::nullopt;
    auto text = base::read_file(path);
    return text ? std::optional(std::move(*text)) : std::nullopt;
}

base::Result<> keep(const Remembered &entry, CacheRoom room) {
    const std::string directory = std::filesystem::path(entry.path).parent_path();
    if (auto made = base::make_directories_at(AT_FDCWD, directory); !made) return made;
    if (use_entry(entry.path, room)) return {};
    if (auto wrote = base::replace_file(entry.path, entry.data); !wrote) return wrote;
    trim(directory, entry.path, room.limit_bytes);
    return {};
}

bool use_entry(const std::string &path, CacheRoom room) {
    if (::utimensat(AT_FDCWD, path.c_str(), nullptr, AT_SYMLINK_NOFOLLOW) < 0) return false;
    trim(std::filesystem::path(path).parent_path(), path, room.limit_bytes);
    return true;
}

void remember(const Remembered &entry) {
    if (!entry.path.empty()) (void)keep(entry);
}

}  // namespace hostside

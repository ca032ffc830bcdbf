// A cache between runs, in ${XDG_CACHE_HOME:-~/.cache}/runvm. It may be lost at any time. An entry's name contains the identity
// of everything that the entry was made from, so entries never go stale.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace hostside {

// A group of entries and its size limit. Entries used within the last ten minutes stay even beyond the limit.
struct CacheRoom {
    std::string_view directory;  // in the cache's directory; empty: that directory itself
    uint64_t limit_bytes;
};
inline constexpr CacheRoom small_things{"", uint64_t{512} << 20};
inline constexpr CacheRoom store_images{"store-images", uint64_t{16} << 30};
inline constexpr CacheRoom store_starts{"store-starts", uint64_t{4} << 10};

// The path of an entry, even if it does not exist. Empty: no place for a cache (HOME is unset, missing, not writable or another
// user's).
// Creates nothing.
std::string cache_path(std::string_view name, CacheRoom room = small_things);

// The device, inode, size and change time of a file, as text; "absent" if it does not exist. Follows symlinks.
std::string file_identity(const std::string &path);

// 64 bits of FNV-1a over a text, in hex. Good for names; no protection against an attacker.
std::string short_hash(std::string_view text);

std::optional<std::string> cached(const std::string &path);

// A result of this run for the next one.
struct Remembered {
    std::string path;  // empty: no cache
    std::string data;
};
// Writes the entry unless it exists, and marks it as used now. `room`: the one that its path is in.
base::Result<> keep(const Remembered &entry, CacheRoom room = small_things);
// Marks an entry as used now and removes the oldest entries beyond the limit. False: the entry does not exist.
bool use_entry(const std::string &path, CacheRoom room);
void remember(const Remembered &entry);  // on failure, the next run does the work again

}  // namespace hostside

// What is worth keeping between runs, and may be lost at any time: ${XDG_CACHE_HOME:-~/.cache}/runvm. An entry's name
// holds the identity of all that it was made from, so that none is ever stale.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace hostside {

// What is kept together, and how much of it. What was used within the last ten minutes stays even beyond that.
struct CacheRoom {
    std::string_view directory;  // beneath the cache; empty: the cache itself
    uint64_t limit_bytes;
};
inline constexpr CacheRoom small_things{"", uint64_t{512} << 20};
inline constexpr CacheRoom store_images{"store-images", uint64_t{16} << 30};

// Path of the entry, whether it is there or not. Empty: no place for a cache (no HOME, one that is not there or can't be
// written). Nothing is made.
std::string cache_path(std::string_view name, CacheRoom room = small_things);

// device, inode, size and time of change of a file, as text; "absent" when it is not there. Follows symlinks.
std::string file_identity(const std::string &path);

// 64 bits of FNV-1a over a text, in hex: for names, not against an enemy.
std::string short_hash(std::string_view text);

std::optional<std::string> cached(const std::string &path);

// What a run found out or made, to be kept for the next one.
struct Remembered {
    std::string path;  // empty: there is no cache
    std::string data;
};
// Written where it is not there, and used now.
base::Result<> keep(const Remembered &entry);
// An entry that is there counts as used now: of more than the room's limit the oldest go, and with each the symbolic links that
// have its name, a dot and a word. False: it is not there.
bool use_entry(const std::string &path, CacheRoom room);
void remember(const Remembered &entry);  // without success, the next run does the work again

}  // namespace hostside

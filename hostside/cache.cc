#include "hostside/cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <format>

#include "mounts/base/at.h"

namespace hostside {

base::Result<std::string> cache_directory() {
    const char *xdg = std::getenv("XDG_CACHE_HOME");
    const char *home = std::getenv("HOME");
    const std::string path =
        (xdg != nullptr && *xdg == '/' ? std::string(xdg) : std::string(home != nullptr ? home : "/tmp") + "/.cache") + "/runvm";
    if (auto made = base::make_directories_at(AT_FDCWD, path); !made) return std::unexpected(made.error());
    return path;
}

base::Result<std::string> cache_key(const std::vector<std::string> &files, std::string_view recipe) {
    std::string text(recipe);
    for (const auto &file : files) {
        struct stat st{};
        if (::stat(file.c_str(), &st) < 0) return base::fail(errno, "open", file);
        text += std::format("\n{} {} {}.{}", file, st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    }
    // FNV-1a, twice with different starts: a name for a cache entry, not a defence against anybody.
    std::string key;
    for (const uint64_t start : {0xcbf29ce484222325U, 0x9e3779b97f4a7c15U}) {
        uint64_t hash = start;
        for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
        key += std::format("{:016x}", hash);
    }
    return key;
}

}  // namespace hostside

#include "hostside/base/cache.h"

#include <sys/stat.h>

#include <cstdlib>
#include <format>

#include "mounts/base/at.h"

namespace hostside {

std::string cache_path(std::string_view name) {
    const char *cache = std::getenv("XDG_CACHE_HOME");
    const char *home = std::getenv("HOME");
    std::string folder;
    if (cache != nullptr && *cache == '/')
        folder = cache;
    else if (home != nullptr && *home == '/')
        folder = std::string(home) + "/.cache";
    else
        return {};
    folder += "/runvm";
    if (!base::make_directories_at(AT_FDCWD, folder)) return {};
    return folder + "/" + std::string(name);
}

std::string file_identity(const std::string &path) {
    struct stat st{};
    if (::stat(path.c_str(), &st) < 0) return "absent";
    return std::format("{}:{}:{}:{}:{}.{}", path, st.st_dev, st.st_ino, st.st_size, st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

std::string short_hash(std::string_view text) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return std::format("{:016x}", hash);
}

std::optional<std::string> cached(const std::string &path) {
    if (path.empty()) return std::nullopt;
    auto text = base::read_file(path);
    return text ? std::optional(std::move(*text)) : std::nullopt;
}

void remember(const std::string &path, std::string_view data) {
    if (!path.empty()) (void)base::replace_file(path, data);  // a cache that can't be written costs time, nothing else
}

}  // namespace hostside

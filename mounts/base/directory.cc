#include "mounts/base/directory.h"

#include <dirent.h>
#include <fcntl.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "mounts/base/at.h"

namespace base {

Result<Names> names_in(int directory, std::string_view name, size_t most) {
    auto opened = open_at(directory, ".", O_RDONLY | O_DIRECTORY);
    if (!opened) return fail(opened.error().code, "list", std::string(name));
    const std::unique_ptr<DIR, decltype([](DIR *open) { (void)::closedir(open); })> stream(::fdopendir(opened->get()));
    if (!stream) return fail(errno, "list", std::string(name));
    (void)opened->release();
    Names names;
    for (;;) {
        errno = 0;
        const dirent *entry = ::readdir(stream.get());
        if (entry == nullptr && errno != 0) return fail(errno, "list", std::string(name));
        if (entry == nullptr || names.size() == most) return names;
        if (const std::string_view found = entry->d_name; found != "." && found != "..") names.emplace_back(found);
    }
}

Result<Names> names_in(const std::string &path) {
    return open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY).and_then([&](const Fd &fd) { return names_in(fd.get(), path); });
}

}  // namespace base

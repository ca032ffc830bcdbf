#include "stage1/nixdb/registration_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <format>
#include <string_view>
#include <utility>

#include "mounts/base/at.h"
#include "mounts/base/regular_file.h"
#include "mounts/nix/registration.h"
#include "mounts/protocol.h"

namespace stage1::nixdb {

namespace {

using mounts::protocol::store_lower_dir;

constexpr const char *image_registration = "/nix-path-registration";  // where NixOS's image builders put it

bool is_absent(const base::Result<base::Fd> &file) {
    return !file && (file.error().code == ENOENT || file.error().code == ENOTDIR);
}

base::Result<RegistrationFile> open_named(int root, const std::string &reginfo) {
    auto file = base::open_regular_in_root(root, reginfo);
    if (is_absent(file) && reginfo.starts_with(mounts::store_prefix))
        file =
            base::open_regular_in_root(root, std::format("{}/{}", store_lower_dir, reginfo.substr(mounts::store_prefix.size())));
    if (is_absent(file)) {
        const auto ours = base::open_at(AT_FDCWD, "/", O_PATH | O_DIRECTORY);
        if (!ours) return std::unexpected(ours.error());
        file = base::open_regular_in_root(reginfo.starts_with('/') ? ours->get() : AT_FDCWD, reginfo);
    }
    if (!file && file.error().code == 0) return std::unexpected(file.error());
    if (!file)
        return base::fail(file.error().code, "register", reginfo, "the closure's registration, in the target root or outside");
    return RegistrationFile{reginfo, std::move(*file)};
}

}  // namespace

base::Result<RegistrationFile> find_registration(int root, const std::string &reginfo) {
    if (!reginfo.empty()) return open_named(root, reginfo);
    const std::string configured(mounts::protocol::reginfo_file);
    if (auto file = base::open_at(AT_FDCWD, configured, O_RDONLY)) {
        std::string head(4096, '\0');
        const ssize_t n = ::pread(file->get(), head.data(), head.size(), 0);
        if (n < 0) return base::fail(errno, "read", configured);
        head.resize(static_cast<size_t>(n));
        const size_t end = head.find('\n');
        if (end != std::string::npos && end + 1 < head.size()) return RegistrationFile{configured, std::move(*file)};
        return open_named(root, head.substr(0, end));
    }
    auto image = base::open_regular_in_root(root, image_registration);
    if (!image && image.error().code == ENOENT) return RegistrationFile{};
    if (!image) return std::unexpected(image.error());
    return RegistrationFile{image_registration, std::move(*image)};
}

}  // namespace stage1::nixdb

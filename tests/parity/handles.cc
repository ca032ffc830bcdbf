// File handles (name_to_handle_at(2)): a handle must lead to its file as long as the file exists, or must not be given.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/parity/mounted.h"
#include "tests/parity/place.h"

using parity::Mounted;

namespace {

namespace fs = std::filesystem;

constexpr int only_to_compare = 0x200;  // AT_HANDLE_FID, Linux 6.5

int handle_of(const fs::path &path, int flags) {
    alignas(file_handle) char bytes[sizeof(file_handle) + MAX_HANDLE_SZ];
    auto *handle = reinterpret_cast<file_handle *>(bytes);
    handle->handle_bytes = MAX_HANDLE_SZ;
    int mount_id = 0;
    return ::name_to_handle_at(AT_FDCWD, path.c_str(), handle, &mount_id, flags) < 0 ? errno : 0;
}

}  // namespace

TEST_CASE("no file handle is given that would be stale once the kernel forgets the inode, as with overlayfs") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE_COPY(from_range(parity::modes()));
    CAPTURE(mode);
    Mounted stack(mode);
    std::ofstream(stack.lower() / "file") << "text";
    fs::create_directory(stack.lower() / "directory");
    stack.mount();
    for (const char *directory : {"kernel-upper", "kernel-work"}) fs::create_directory(stack.base() / "disk" / directory);
    const std::string layers = "lowerdir=" + stack.lower().string() +
                               ",upperdir=" + (stack.base() / "disk/kernel-upper").string() +
                               ",workdir=" + (stack.base() / "disk/kernel-work").string();
    const fs::path kernel = stack.base() / "kernel";
    REQUIRE(::mount("overlay", kernel.c_str(), "overlay", 0, layers.c_str()) == 0);
    for (const char *name : {"file", "directory", "."}) {
        CAPTURE(name);
        CHECK(handle_of(kernel / name, 0) == EOPNOTSUPP);
        CHECK(handle_of(stack.root() / name, 0) == EOPNOTSUPP);
        CHECK(handle_of(stack.root() / name, only_to_compare) == handle_of(kernel / name, only_to_compare));
    }
    CHECK(stack.unmount() == 0);
}

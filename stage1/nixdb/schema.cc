#include "stage1/nixdb/schema.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "mounts/base/at.h"
#include "mounts/base/regular_file.h"

namespace stage1::nixdb {

namespace {
constexpr off_t reserved_bytes = off_t{8} << 20;
}

std::string database_hash(const mounts::Sha256 &hash) { return "sha256:" + mounts::base16(hash); }

base::Result<std::string> open_directory(int root) {
    const std::string path(database_dir);
    auto directory = base::open_in_root(root, path, O_PATH | O_DIRECTORY);
    if (!directory && directory.error().code == ENOENT) {
        directory = base::make_directories_in_root(root, path);
    }
    if (!directory) return std::unexpected(directory.error());
    return base::path_of(directory->get(), path);
}

base::Result<> refuse_strangers(const std::string &directory) {
    for (const char *name : {"db.sqlite", "db.sqlite-wal", "db.sqlite-shm", "db.sqlite-journal", "schema", "reserved", "big-lock",
                             "stage1-loaded"}) {
        const std::string path = directory + '/' + name;
        struct stat st{};
        if (::lstat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode))
            return base::fail(0, "register", path, "not a regular file; move it away");
    }
    return {};
}

base::Result<std::optional<int>> read_schema(const std::string &directory) {
    const std::string path = directory + "/schema";
    auto text = base::open_regular(AT_FDCWD, path, O_RDONLY).and_then([&](const base::Fd &fd) {
        return base::read_all(fd.get(), path, 64);
    });
    if (!text && text.error().code == ENOENT) return std::optional<int>{};
    if (!text) return std::unexpected(text.error());
    // After a power cut the file may be empty or all zeros. Treat that as missing; db.sqlite is checked anyway.
    const size_t last = text->find_last_not_of(std::string_view("\n \0", 3));
    text->resize(last == std::string::npos ? 0 : last + 1);
    if (text->empty()) return std::optional<int>{};
    int version = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), version);
    if (error != std::errc{} || end != text->data() + text->size())
        return base::fail(0, "register", path, "'" + *text + "' is not a schema version");
    return version;
}

base::Result<base::Fd> lock(const std::string &directory, bool exclusive) {
    const std::string path = directory + "/big-lock";
    auto fd = base::open_regular(AT_FDCWD, path, O_RDWR | O_CREAT, 0600);
    if (!fd) return fd;
    if (::flock(fd->get(), (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0)
        return base::fail(errno, "lock", path, "Nix is running in this root; register before it starts");
    return fd;
}

// Syncs nothing: if these files are missing or a power cut left `schema` empty, the next registration creates them again.
base::Result<> finish_files(const std::string &directory) {
    const auto reserved = base::open_regular(AT_FDCWD, directory + "/reserved", O_WRONLY | O_CREAT, 0600);
    struct stat st{};
    // Optional: Nix continues without it on a full disk too.
    if (reserved && ::fstat(reserved->get(), &st) == 0 && st.st_size < reserved_bytes)
        (void)::posix_fallocate(reserved->get(), 0, reserved_bytes);
    const auto version = read_schema(directory);
    if (!version) return std::unexpected(version.error());
    if (*version) return {};
    const std::string path = directory + "/schema";
    const auto file = base::open_regular(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (!file) return std::unexpected(file.error());
    return base::write_all(file->get(), std::to_string(schema_version), path);
}

}  // namespace stage1::nixdb

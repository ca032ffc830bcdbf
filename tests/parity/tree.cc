#include "tests/parity/tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch_amalgamated.hpp>
#include <format>
#include <fstream>
#include <vector>

#include "mounts/base/fd.h"
#include "tests/parity/place.h"

namespace parity {

namespace {

namespace fs = std::filesystem;

constexpr time_t long_ago = 1'000'000'000;  // populate() sets no later time

void write_file(const fs::path &path, std::string_view text) { std::ofstream(path) << text; }

std::string hexadecimal(std::string_view bytes) {
    std::string text;
    for (const char byte : bytes) text += std::format("{:02x}", static_cast<unsigned char>(byte));
    return text;
}

std::string attributes(const fs::path &path) {
    std::vector<char> names(65536);
    const ssize_t size = ::llistxattr(path.c_str(), names.data(), names.size());
    if (size < 0) return std::format(" attributes: error {}", errno);
    std::vector<std::string> lines;
    for (const char *name = names.data(); name < names.data() + size; name += std::string_view(name).size() + 1) {
        std::vector<char> value(65536);
        const ssize_t n = ::lgetxattr(path.c_str(), name, value.data(), value.size());
        lines.push_back(n < 0 ? std::format(" {}: error {}", name, errno)
                              : std::format(" {}={}", name, hexadecimal({value.data(), static_cast<size_t>(n)})));
    }
    std::ranges::sort(lines);
    std::string text;
    for (const std::string &line : lines) text += line;
    return text;
}

// Where its data is, by SEEK_DATA and SEEK_HOLE. On xfs that includes preallocation past the end, which depends on timing.
std::string extents(const base::Fd &file, off_t size) {
    std::string text;
    if (backing() == "xfs") return text;
    for (off_t at = 0; at < size;) {
        const off_t data = ::lseek(file.get(), at, SEEK_DATA);
        if (data < 0) break;
        at = ::lseek(file.get(), data, SEEK_HOLE);
        text += std::format(" data {}-{}", data, at);
    }
    return text;
}

std::string content(const fs::path &path, const struct stat &status) {
    if (S_ISLNK(status.st_mode)) return " -> " + fs::read_symlink(path).string();
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode))
        return std::format(" device {}:{}", major(status.st_rdev), minor(status.st_rdev));
    if (!S_ISREG(status.st_mode)) return {};
    const base::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    REQUIRE(file);
    std::ifstream stream(path, std::ios::binary);
    const std::string data((std::istreambuf_iterator<char>(stream)), {});
    return std::format(" size={} links={} hash={:x}{}", status.st_size, status.st_nlink, std::hash<std::string>{}(data),
                       extents(file, status.st_size));
}

void add_tree(std::string &text, const fs::path &root, const fs::path &path) {
    std::vector<fs::path> names;
    for (const auto &entry : fs::directory_iterator(path)) names.push_back(entry.path());
    std::ranges::sort(names);
    for (const fs::path &name : names) {
        struct stat status{};
        REQUIRE(::lstat(name.c_str(), &status) == 0);
        const std::string mtime =
            status.st_mtim.tv_sec > long_ago ? "now" : std::format("{}.{}", status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
        text += std::format("{} {:o} {}:{} {}{}{}\n", name.lexically_relative(root).string(), status.st_mode, status.st_uid,
                            status.st_gid, mtime, content(name, status), attributes(name));
        if (S_ISDIR(status.st_mode)) add_tree(text, root, name);
    }
}

void attach(const fs::path &path, const char *name, std::string_view value) {
    if (::lsetxattr(path.c_str(), name, value.data(), value.size(), 0) < 0) REQUIRE(errno == ENOTSUP);
}

void populate_attributes(const fs::path &root) {
    using namespace std::string_view_literals;
    write_file(root / "attributed", "of each namespace\n");
    attach(root / "attributed", "user.note", "kept");
    attach(root / "attributed", "trusted.note", "kept by root");
    attach(root / "attributed", "security.note", "kept by a module");
    // capability(7), VFS_CAP_REVISION_2: cap_net_raw, permitted and effective.
    write_file(root / "capable", "#!\n");
    attach(root / "capable", "security.capability", "\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"sv);
    // acl(5) as stored: version 2; owner rw, user 1000 rw, group none, mask rw, others none.
    write_file(root / "listed", "for user 1000 too\n");
    attach(
        root / "listed", "system.posix_acl_access",
        "\2\0\0\0\1\0\6\0\xff\xff\xff\xff\2\0\6\0\xe8\3\0\0\4\0\0\0\xff\xff\xff\xff\x10\0\6\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff"sv);
}

void populate_owners(const fs::path &root) {
    fs::create_directories(root / "theirs/inner");
    write_file(root / "theirs/inner/file", "not root's\n");
    for (const char *name : {"theirs", "theirs/inner", "theirs/inner/file"})
        REQUIRE(::lchown((root / name).c_str(), 1000, 2000) == 0);
    REQUIRE(::chmod((root / "theirs/inner").c_str(), 02770) == 0);
    REQUIRE(::chmod((root / "theirs/inner/file").c_str(), 0640) == 0);
    fs::create_symlink("inner/file", root / "theirs/link");
    REQUIRE(::lchown((root / "theirs/link").c_str(), 1000, 2000) == 0);
}

void populate_holes(const fs::path &root) {
    write_file(root / "holes", "begins\n");
    const base::Fd file(::open((root / "holes").c_str(), O_WRONLY | O_CLOEXEC));
    REQUIRE(::pwrite(file.get(), "middle\n", 7, 1 << 20) == 7);
    REQUIRE(::ftruncate(file.get(), 3 << 20) == 0);
}

void set_times(const fs::path &root) {
    std::vector<fs::path> all;
    for (const auto &entry : fs::recursive_directory_iterator(root)) all.push_back(entry.path());
    std::ranges::sort(all);
    for (size_t i = 0; i < all.size(); ++i) {
        const time_t then = long_ago - static_cast<time_t>(i) * 1000;
        const std::array<timespec, 2> times{timespec{then, 1}, timespec{then, 123456789}};
        REQUIRE(::utimensat(AT_FDCWD, all[i].c_str(), times.data(), AT_SYMLINK_NOFOLLOW) == 0);
    }
}

}  // namespace

std::string tree(const std::string &root) {
    std::string text;
    add_tree(text, root, root);
    return text;
}

void populate(const fs::path &root) {
    fs::create_directories(root / "directory/inner");
    fs::create_directories(root / "empty");
    fs::create_directories(root / "many");
    write_file(root / "file", "lower data\n");
    write_file(root / "directory/a", "a\n");
    write_file(root / "directory/inner/b", "b\n");
    write_file(root / "suid", "#!\n");
    REQUIRE(::chmod((root / "suid").c_str(), 06755) == 0);
    write_file(root / "linked", "two names\n");
    fs::create_hard_link(root / "linked", root / "linked-too");
    fs::create_symlink("file", root / "symlink");
    REQUIRE(::mkfifo((root / "fifo").c_str(), 0640) == 0);
    REQUIRE(::mknod((root / "null").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0);
    for (int i = 0; i < 200; ++i) write_file(root / "many" / std::format("name-{}", i), "x");
    REQUIRE(::truncate((root / "file").c_str(), 1 << 20) == 0);
    populate_attributes(root);
    populate_owners(root);
    populate_holes(root);
    set_times(root);
}

}  // namespace parity

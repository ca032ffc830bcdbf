#include "hostside/host/qcow2.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <format>
#include <optional>

#include "mounts/base/at.h"
#include "mounts/base/fd.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

uint64_t big_endian(std::string_view bytes) {
    uint64_t value = 0;
    for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
    return value;
}

constexpr std::string_view qcow2_magic = "QFI\xfb";

// The name of the backing file in an image's header (QEMU, docs/interop/qcow2.txt). Empty text: no backing file. nullopt:
// unreadable.
std::optional<std::string> backing_name(int fd, std::string_view header) {
    constexpr size_t longest = 1023;
    const uint64_t offset = big_endian(header.substr(8, 8));
    const size_t size = big_endian(header.substr(16, 4));
    if (offset == 0) return "";
    if (size == 0 || size > longest) return std::nullopt;
    std::string name(size, '\0');
    if (::pread(fd, name.data(), size, static_cast<off_t>(offset)) != static_cast<ssize_t>(size)) return std::nullopt;
    if (name.contains('\0')) return std::nullopt;
    return name;
}

// QEMU takes text before the first colon for a protocol or driver, unless a slash comes first: json:, nbd:, fat:rw:, file:.
bool is_file_name(std::string_view name) {
    const size_t end = name.find_first_of(":/");
    return end == std::string_view::npos || name[end] == '/';
}

// With data_file, the guest's writes would go to any file that the image names, and the image's creator chose it.
bool has_external_data(std::string_view header) {
    constexpr uint64_t external_data = 4;  // an incompatible feature in version 3
    return big_endian(header.substr(4, 4)) >= 3 && (big_endian(header.substr(72, 8)) & external_data) != 0;
}

// The backing file's format from the header's extension. Empty: none; QEMU would then guess from content that a guest may have
// written. Also empty for several, of which QEMU takes the last: no honest program writes them.
std::string backing_format(int fd, std::string_view header) {
    constexpr uint64_t format_extension = 0xe2792aca, version_2_bytes = 72, most_bytes = 65536;
    const uint64_t begin = big_endian(header.substr(4, 4)) >= 3 ? big_endian(header.substr(100, 4)) : version_2_bytes;
    const uint64_t end = big_endian(header.substr(8, 8));
    if (begin >= end || end > most_bytes) return {};
    std::string extensions(end - begin, '\0');
    if (::pread(fd, extensions.data(), extensions.size(), static_cast<off_t>(begin)) != static_cast<ssize_t>(extensions.size()))
        return {};
    std::optional<std::string> format;
    for (std::string_view rest = extensions; rest.size() >= 8;) {
        const uint64_t type = big_endian(rest.substr(0, 4)), size = big_endian(rest.substr(4, 4));
        if (type == 0) break;
        if (size > rest.size() - 8 || (type == format_extension && format)) return {};
        if (type == format_extension) format = rest.substr(8, size);
        rest.remove_prefix(std::min<size_t>(rest.size(), 8 + (size + 7) / 8 * 8));
    }
    return format.value_or("");
}

// Whether both name the same file, even if it does not exist.
bool same_path(const std::string &one, const std::string &other) {
    std::error_code error;
    return fs::weakly_canonical(one, error) == fs::weakly_canonical(other, error) && !error;
}

struct Beneath {
    std::string path;  // empty: no backing file
    std::string format;
};

// The guest can read every backing file, so only those that the description names are allowed.
Result<> check_beneath(const std::string &path, const Beneath &beneath, const BackingFiles &named, std::string_view start_over) {
    if (::access(beneath.path.c_str(), R_OK) < 0)
        return fail(errno, "use image", path,
                    std::format("its backing file {} is gone (was it garbage-collected?); restore that file, or {}", beneath.path,
                                start_over));
    if (std::ranges::none_of(named, [&](const std::string &name) { return same_path(name, beneath.path); }))
        return fail(0, "use image", path,
                    std::format("its backing file is {}, which the guest could read; allow that with --backing-file {}, or {}",
                                beneath.path, beneath.path, start_over));
    if (beneath.format == "qcow2" || beneath.format == "raw") return {};
    return fail(0, "use image", path,
                std::format("it does not say whether its backing file {} is raw or qcow2, and runvm does not guess; set the "
                            "format: qemu-img rebase -u -F FORMAT -b {} {}",
                            beneath.path, beneath.path, path));
}

// Checks one image of a chain; returns its backing file.
Result<Beneath> look_at(const std::string &path, std::string_view start_over) {
    if (auto kind = check_kind(path); !kind) return std::unexpected(kind.error());
    auto fd = base::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
    if (!fd) return fail(fd.error().code, "use image", path, start_over);
    constexpr ssize_t least_bytes = 72;          // a version 2 header
    std::string header(least_bytes + 32, '\0');  // plus the fields of version 3
    const ssize_t got = ::pread(fd->get(), header.data(), header.size(), 0);
    if (got < least_bytes || !header.starts_with(qcow2_magic))
        return fail(0, "use image", path,
                    std::format("it is not a qcow2 image; convert it (qemu-img convert -O qcow2), or {}", start_over));
    if (has_external_data(header))
        return fail(
            0, "use image", path,
            std::format(
                "its data is in another file, which the guest would write to; convert it (qemu-img convert -O qcow2), or {}",
                start_over));
    const auto name = backing_name(fd->get(), header);
    if (!name) return fail(0, "use image", path, std::format("the name of its backing file can't be read; {}", start_over));
    if (!is_file_name(*name))
        return fail(0, "use image", path, std::format("the name of its backing file is not a plain file name; {}", start_over));
    if (name->empty()) return Beneath{};
    // Not made normal: for QEMU, `..` leads where the kernel says, even behind a link.
    return Beneath{fs::path(path).parent_path() / *name, backing_format(fd->get(), header)};
}

}  // namespace

Result<> check_kind(const std::string &path) {
    struct stat st{};
    if (::stat(path.c_str(), &st) < 0 || S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) return {};  // what is missing is told later
    return fail(0, "use image", path, "it is neither a file nor a block device");
}

bool begins_as_qcow2(int fd) {
    std::string magic(qcow2_magic.size(), '\0');
    return ::pread(fd, magic.data(), magic.size(), 0) == static_cast<ssize_t>(magic.size()) && magic == qcow2_magic;
}

Result<> check_qcow2(const std::string &path, const BackingFiles &backing_files, std::string_view start_over) {
    constexpr int deepest = 64;
    std::string image = path;
    for (int depth = 0; depth < deepest; ++depth) {
        auto beneath = look_at(image, start_over);
        if (!beneath) return std::unexpected(beneath.error());
        if (beneath->path.empty()) return {};
        if (auto good = check_beneath(image, *beneath, backing_files, start_over); !good) return good;
        if (beneath->format == "raw") return {};
        image = std::move(beneath->path);
    }
    return fail(ELOOP, "use image", path, std::format("it has more than {} backing files; {}", deepest, start_over));
}

uint64_t qcow2_size_bytes(const std::string &path) {
    constexpr size_t field_at = 24, field_bytes = 8;
    const auto fd = base::open_at(AT_FDCWD, path, O_RDONLY);
    std::string header(field_at + field_bytes, '\0');
    if (!fd || ::pread(fd->get(), header.data(), header.size(), 0) != static_cast<ssize_t>(header.size())) return 0;
    return header.starts_with(qcow2_magic) ? big_endian(std::string_view(header).substr(field_at)) : 0;
}

bool is_empty_qcow2(const std::string &path) {
    constexpr size_t header_bytes = 104;  // version 3; qcow2.txt lists the fields and offsets
    const auto fd = base::open_at(AT_FDCWD, path, O_RDONLY);
    std::string header(header_bytes, '\0');
    if (!fd || ::pread(fd->get(), header.data(), header.size(), 0) != static_cast<ssize_t>(header.size())) return false;
    const auto field = [&](size_t offset, size_t size) { return big_endian(std::string_view(header).substr(offset, size)); };
    const bool plain = header.starts_with(qcow2_magic) && field(4, 4) == 3 && field(8, 8) == 0 /* backing file */ &&
                       field(32, 4) == 0 /* encryption */ && field(60, 4) == 0 /* snapshots */ &&
                       field(72, 8) == 0 /* incompatible features: dirty, corrupt, data elsewhere … */;
    if (!plain) return false;
    // A level 1 entry of 0 means that no cluster is allocated, and unallocated clusters read as zeros.
    constexpr size_t largest_table_bytes = size_t{1} << 20;
    const uint64_t table_bytes = field(36, 4) * 8;
    if (table_bytes == 0 || table_bytes > largest_table_bytes) return false;
    std::string table(table_bytes, '\0');
    return ::pread(fd->get(), table.data(), table.size(), static_cast<off_t>(field(40, 8))) ==
               static_cast<ssize_t>(table.size()) &&
           table.find_first_not_of('\0') == std::string::npos;
}

}  // namespace hostside

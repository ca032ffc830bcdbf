#include "hostside/host/image.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <format>
#include <optional>
#include <utility>
#include <vector>

#include "hostside/qemu/program.h"
#include "mounts/base/at.h"
#include "mounts/base/fd.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

using base::fail;
using base::Fd;
using base::Result;
namespace fs = std::filesystem;

// qemu-img fills the file that is open here; `path` is where it will be.
Result<> fill_image(const std::string &qemu, std::vector<std::string> options, int fd, std::string_view size,
                    const std::string &path) {
    auto program = find_qemu_img(qemu);
    if (!program) return std::unexpected(program.error());
    const std::string target = std::format("/proc/self/fd/{}", fd);
    std::vector<std::string> argv{*program, "create", "-q", "-f", "qcow2"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back(target);
    if (!size.empty()) argv.emplace_back(size);
    auto exit = base::run({.argv = argv, .inherited = {fd}, .capture_output = true});
    if (!exit) return std::unexpected(exit.error());
    if (exit->status == 0) return {};
    const std::string folder = fs::absolute(path).parent_path();
    if (exit->output.contains(base::errno_text(ENOSPC)))
        return fail(ENOSPC, "create image", path, std::format("make room in {}, or name another place (diskImage)", folder));
    std::string line = exit->output.substr(0, exit->output.find('\n'));
    const std::string prefix = std::format("qemu-img: {}: ", target);
    if (line.starts_with(prefix)) line.erase(0, prefix.size());
    return fail(0, "create image", path, line);
}

// rename(2) that replaces nothing, but on file systems that can't (NFS, 9p).
long rename_to_new(const std::string &from, const std::string &to) {
    const long result = ::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
    return result < 0 && (errno == EINVAL || errno == ENOSYS) ? ::rename(from.c_str(), to.c_str()) : result;
}

// A file on its way to `path`: without a name where the file system can (a launcher that is killed leaves nothing), else under
// one that nobody can have put there before. Its owner's alone.
class NewFile {
  public:
    static Result<NewFile> beside(const std::string &path) {
        NewFile file;
        const std::string folder = fs::absolute(path).parent_path();
        file.fd_ = Fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        if (!file.fd_) {
            uint64_t random = 0;
            if (::getrandom(&random, sizeof random, 0) != sizeof random) return fail(errno, "create image", path);
            file.name_ = std::format("{}.new-{:016x}", path, random);
            file.fd_ = Fd(::open(file.name_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        }
        if (!file.fd_) return fail(errno, "create image", path, std::format("is {} yours to write?", folder));
        return file;
    }
    NewFile(NewFile &&other) noexcept : fd_(std::move(other.fd_)), name_(std::exchange(other.name_, {})) {}
    NewFile(const NewFile &) = delete;
    NewFile &operator=(const NewFile &) = delete;
    NewFile &operator=(NewFile &&) = delete;
    ~NewFile() {
        if (!name_.empty()) (void)::unlink(name_.c_str());  // the error that is returned is the one that matters
    }

    [[nodiscard]] int fd() const { return fd_.get(); }

    // False: another was first.
    Result<bool> put_at(const std::string &path) {
        const std::string ours = std::format("/proc/self/fd/{}", fd_.get());
        const long done = name_.empty() ? ::linkat(AT_FDCWD, ours.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW)
                                        : rename_to_new(name_, path);
        if (done == 0) name_.clear();
        if (done < 0 && errno != EEXIST) return fail(errno, "create image", path);
        return done == 0;
    }

  private:
    NewFile() = default;
    Fd fd_;
    std::string name_;
};

uint64_t big_endian(std::string_view bytes) {
    uint64_t value = 0;
    for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
    return value;
}

constexpr std::string_view qcow2_magic = "QFI\xfb";

// What an image's header names as what lies beneath it (QEMU, docs/interop/qcow2.txt); empty: nothing; none: it can't
// be told.
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

// QEMU takes what is before a first colon, if no slash is before that, for a protocol or driver: json:, nbd:, fat:rw:, file:.
bool is_file_name(std::string_view name) {
    const size_t end = name.find_first_of(":/");
    return end == std::string_view::npos || name[end] == '/';
}

// The guest's writes would go to any file that the image names (data_file): whoever made the image chose it.
bool has_external_data(std::string_view header) {
    constexpr uint64_t external_data = 4;  // an incompatible feature, of version 3
    return big_endian(header.substr(4, 4)) >= 3 && (big_endian(header.substr(72, 8)) & external_data) != 0;
}

}  // namespace

Result<bool> ensure_image(const std::string &qemu, const std::string &path, int size_mib) {
    struct stat st{};
    if (::stat(path.c_str(), &st) == 0) {
        if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) return false;
        return fail(0, "use image", path, "neither a file nor a block device");
    }
    if (errno != ENOENT) return fail(errno, "use image", path);
    auto file = NewFile::beside(path);
    if (!file) return std::unexpected(file.error());
    if (auto done = fill_image(qemu, {}, file->fd(), std::format("{}M", size_mib), path); !done)
        return std::unexpected(done.error());
    auto first = file->put_at(path);
    std::error_code error;
    if (first && !*first && !fs::exists(path, error))
        return fail(0, "create image", path, "a link to where nothing is; remove it, or name that place");
    return first;
}

Result<> overlay_image(const std::string &qemu, const std::string &overlay, const std::string &backing) {
    auto file = NewFile::beside(overlay);
    if (!file) return std::unexpected(file.error());
    const std::vector<std::string> options{"-F", "qcow2", "-b", fs::absolute(backing).string()};
    if (auto done = fill_image(qemu, options, file->fd(), "", overlay); !done) return done;
    auto first = file->put_at(overlay);
    if (!first) return std::unexpected(first.error());
    return *first ? Result<>{} : fail(EEXIST, "create image", overlay);
}

Result<> check_qcow2(const std::string &path, std::string_view start_over) {
    auto fd = base::open_at(AT_FDCWD, path, O_RDONLY);
    if (!fd) return fail(fd.error().code, "use image", path, start_over);
    constexpr ssize_t least_bytes = 72;         // a header of version 2
    std::string header(least_bytes + 8, '\0');  // and the features of version 3
    const ssize_t got = ::pread(fd->get(), header.data(), header.size(), 0);
    if (got < least_bytes || !header.starts_with(qcow2_magic))
        return fail(0, "use image", path,
                    std::format("not a qcow2 image; convert it (qemu-img convert -O qcow2), or {}", start_over));
    if (has_external_data(header))
        return fail(0, "use image", path,
                    std::format("its data is in another file, which the guest would write; convert it "
                                "(qemu-img convert -O qcow2), or {}",
                                start_over));
    const auto named = backing_name(fd->get(), header);
    if (!named) return fail(0, "use image", path, std::format("what it lies over has no name that can be read; {}", start_over));
    const std::string &name = *named;
    if (!is_file_name(name))
        return fail(0, "use image", path, std::format("what it lies over has no plain file name; {}", start_over));
    const std::string backing = name.empty() ? "" : (fs::path(path).parent_path() / name).lexically_normal().string();
    if (!backing.empty() && ::access(backing.c_str(), R_OK) < 0)
        return fail(errno, "use image", path,
                    std::format("it lies over {}, which is gone (was it garbage-collected?); bring that back, or {}", backing,
                                start_over));
    return {};
}

bool is_empty_qcow2(const std::string &path) {
    constexpr size_t header_bytes = 104;  // of version 3; qcow2.txt names the fields and their places
    const auto fd = base::open_at(AT_FDCWD, path, O_RDONLY);
    std::string header(header_bytes, '\0');
    if (!fd || ::pread(fd->get(), header.data(), header.size(), 0) != static_cast<ssize_t>(header.size())) return false;
    const auto field = [&](size_t offset, size_t size) { return big_endian(std::string_view(header).substr(offset, size)); };
    const bool plain = header.starts_with(qcow2_magic) && field(4, 4) == 3 && field(8, 8) == 0 /* backing file */ &&
                       field(32, 4) == 0 /* encryption */ && field(60, 4) == 0 /* snapshots */ &&
                       field(72, 8) == 0 /* incompatible features: dirty, corrupt, data elsewhere … */;
    if (!plain) return false;
    // A first-level entry of 0: none of its clusters is allocated, and what is not allocated reads as zeros.
    constexpr size_t largest_table_bytes = size_t{1} << 20;
    const uint64_t table_bytes = field(36, 4) * 8;
    if (table_bytes == 0 || table_bytes > largest_table_bytes) return false;
    std::string table(table_bytes, '\0');
    return ::pread(fd->get(), table.data(), table.size(), static_cast<off_t>(field(40, 8))) ==
               static_cast<ssize_t>(table.size()) &&
           table.find_first_not_of('\0') == std::string::npos;
}

Result<std::string> format_of(const std::string &path) {
    auto fd = base::open_at(AT_FDCWD, path, O_RDONLY);
    if (!fd) return std::unexpected(fd.error());
    std::string magic(qcow2_magic.size(), '\0');
    if (::pread(fd->get(), magic.data(), magic.size(), 0) < 0) return fail(errno, "read", path);
    return std::string(magic == qcow2_magic ? "qcow2" : "raw");
}

}  // namespace hostside

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
#include <utility>
#include <vector>

#include "hostside/host/qcow2.h"
#include "hostside/host/qcow2_overlay.h"
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

// Makes qemu-img fill the open file `fd`. `path` is its final name, for messages.
Result<> fill_image(const std::string &qemu, const std::vector<std::string> &options, int fd, std::string_view size,
                    const std::string &path) {
    auto program = find_qemu_img(qemu);
    if (!program) return std::unexpected(program.error());
    const std::string target = std::format("/proc/self/fd/{}", fd);
    std::vector<std::string> argv{*program, "create", "-q"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back(target);
    if (!size.empty()) argv.emplace_back(size);
    auto exit = base::run({.argv = argv, .inherited = {fd}, .capture_output = true});
    if (!exit) return std::unexpected(exit.error());
    if (exit->status == 0) return {};
    const std::string directory = fs::absolute(path).parent_path();
    if (exit->output.contains(base::errno_text(ENOSPC)))
        return fail(ENOSPC, "create image", path, std::format("make room in {}, or name another place (diskImage)", directory));
    std::string line = exit->output.substr(0, exit->output.find('\n'));
    const std::string prefix = std::format("qemu-img: {}: ", target);
    if (line.starts_with(prefix)) line.erase(0, prefix.size());
    return fail(0, "create image", path, line);
}

// rename(2) without replacing. File systems that do not support that (NFS, 9p) get a plain rename.
long rename_to_new(const std::string &from, const std::string &to) {
    const long result = ::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
    return result < 0 && (errno == EINVAL || errno == ENOSYS) ? ::rename(from.c_str(), to.c_str()) : result;
}

// A file that will become `path`, readable only by its owner. It has no name if the file system supports that, so that a killed
// launcher leaves nothing. Otherwise it has an unpredictable name.
class NewFile {
  public:
    static Result<NewFile> beside(const std::string &path) {
        NewFile file;
        const std::string directory = fs::absolute(path).parent_path();
        file.fd_ = Fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        if (!file.fd_) {
            uint64_t random = 0;
            if (::getrandom(&random, sizeof random, 0) != sizeof random) return fail(errno, "create image", path);
            file.name_ = std::format("{}.new-{:016x}", path, random);
            file.fd_ = Fd(::open(file.name_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        }
        if (!file.fd_) return fail(errno, "create image", path, std::format("may you write to {}?", directory));
        return file;
    }
    NewFile(NewFile &&other) noexcept : fd_(std::move(other.fd_)), name_(std::exchange(other.name_, {})) {}
    NewFile(const NewFile &) = delete;
    NewFile &operator=(const NewFile &) = delete;
    NewFile &operator=(NewFile &&) = delete;
    ~NewFile() {
        if (!name_.empty()) (void)::unlink(name_.c_str());  // ignored: the error being returned matters more
    }

    [[nodiscard]] int fd() const { return fd_.get(); }

    // False: another process was faster.
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

}  // namespace

Result<bool> ensure_image(const std::string &qemu, const std::string &path, int size_mib, const std::string &format) {
    struct stat st{};
    if (::stat(path.c_str(), &st) == 0) {
        if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) return false;
        return fail(0, "use image", path, "it is neither a file nor a block device");
    }
    if (errno != ENOENT) return fail(errno, "use image", path);
    auto file = NewFile::beside(path);
    if (!file) return std::unexpected(file.error());
    if (auto done = fill_image(qemu, {"-f", format}, file->fd(), std::format("{}M", size_mib), path); !done)
        return std::unexpected(done.error());
    auto first = file->put_at(path);
    std::error_code error;
    if (first && !*first && !fs::exists(path, error))
        return fail(0, "create image", path, "it is a symlink to nothing; remove it, or name its target");
    return first;
}

Result<> grow_image(const std::string &qemu, const std::string &path, int size_mib, const std::string &format) {
    auto program = find_qemu_img(qemu);
    if (!program) return std::unexpected(program.error());
    auto exit =
        base::run({.argv = {*program, "resize", "-q", "-f", format, path, std::format("{}M", size_mib)}, .capture_output = true});
    if (!exit) return std::unexpected(exit.error());
    if (exit->status == 0) return {};
    return fail(0, "grow image", path, exit->output.substr(0, exit->output.find('\n')));
}

Result<> overlay_image(const std::string &qemu, const std::string &overlay, const std::string &backing,
                       const std::string &backing_format) {
    auto file = NewFile::beside(overlay);
    if (!file) return std::unexpected(file.error());
    const std::string below = fs::absolute(backing);
    const std::string image = qcow2_overlay(below, backing_format, backing_format == "qcow2" ? qcow2_size_bytes(below) : 0);
    const std::vector<std::string> options{"-f", "qcow2", "-F", backing_format, "-b", below};
    if (auto done =
            image.empty() ? fill_image(qemu, options, file->fd(), "", overlay) : base::write_all(file->fd(), image, overlay);
        !done)
        return done;
    auto first = file->put_at(overlay);
    if (!first) return std::unexpected(first.error());
    return *first ? Result<>{} : fail(EEXIST, "create image", overlay);
}

}  // namespace hostside

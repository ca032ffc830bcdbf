#include "hostside/store/image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <format>

#include "hostside/base/cache.h"
#include "hostside/base/last_line.h"
#include "hostside/base/printable.h"
#include "hostside/base/program_path.h"
#include "hostside/store/view.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::fail;
using base::Fd;
using base::Result;

constexpr std::string_view making_image = "make the store's image";

// Change this if other options make a different image from the same closure.
constexpr std::string_view recipe = "1";

std::vector<std::string> options_of(const ImageSpec &spec) {
    const std::string &hash = spec.contents.hash;
    // Nix's timestamp, owner root, no labels of this host, and a UUID from the hash, so that the bytes are always the same.
    std::vector<std::string> words{"-T1", "--all-root", "-x-1",
                                   std::format("-U{}-{}-{}-{}-{}", hash.substr(0, 8), hash.substr(8, 4), hash.substr(12, 4),
                                               hash.substr(16, 4), hash.substr(20, 12))};
    if (spec.compression == "lz4") words.emplace_back("-zlz4");
    if (spec.compression == "lz4hc") words.emplace_back("-zlz4hc,9");
    if (spec.compression != "none") words.emplace_back("-C65536");
    return words;
}

std::string mebibytes(uint64_t bytes) { return std::format("{} MiB", (bytes + (1 << 20) - 1) >> 20); }

// An unnamed file in the directory of `path`, for linkat, or one with a temporary name if the file system does not support
// that.
struct NewFile {
    Fd fd;
    std::string name;  // empty: no name yet
};

Result<NewFile> new_file(const std::string &path) {
    const std::string directory = path.substr(0, path.rfind('/'));
    if (auto made = base::make_directories_at(AT_FDCWD, directory); !made) return std::unexpected(made.error());
    NewFile file{Fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644)), ""};
    if (file.fd) return file;
    if (errno != EOPNOTSUPP && errno != EISDIR) return fail(errno, making_image, directory);
    file.name = std::format("{}.{}", path, ::getpid());
    file.fd = Fd(::open(file.name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!file.fd) return fail(errno, making_image, file.name);
    return file;
}

Result<> give_name(NewFile &file, const std::string &path) {
    if (::fsync(file.fd.get()) < 0) return fail(errno, making_image, path);
    if (!file.name.empty()) return ::rename(file.name.c_str(), path.c_str()) == 0 ? Result<>{} : fail(errno, making_image, path);
    const std::string own = std::format("/proc/self/fd/{}", file.fd.get());
    // Another launcher may have been faster; its image is identical.
    if (::linkat(AT_FDCWD, own.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST)
        return fail(errno, making_image, path);
    return {};
}

Result<> check_exit(const base::Exit &exit, const std::string &mkfs, const std::string &path) {
    if (exit.status == 0) return {};
    return fail(0, making_image, path, std::format("{} ended with {}: {}", mkfs, exit.status, printable(last_line(exit.output))));
}

}  // namespace

std::string image_path(const ImageSpec &spec) {
    const std::string name = std::format("{}-{}-{}.erofs", spec.contents.hash.substr(0, 32), spec.compression, recipe);
    const std::string cached = cache_path(name, store_images);
    return cached.empty() ? spec.run_directory + "/" + name : cached;
}

bool is_image(const std::string &path) {
    struct stat st{};
    return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
}

Result<std::string> find_mkfs() {
    const auto found = programs_named("mkfs.erofs", {"/usr/local/sbin", "/usr/sbin", "/sbin"});
    if (!found.empty()) return found.front();
    return fail(0, making_image, "mkfs.erofs", "it is not in PATH: install erofs-utils, or share the store with --store-kind 9p");
}

Result<> make_image(const ImageSpec &spec, const std::function<void(const std::string &)> &progress) {
    const std::string path = image_path(spec);
    if (is_image(path) && use_entry(path, store_images)) return {};
    auto mkfs = find_mkfs();
    if (!mkfs) return std::unexpected(mkfs.error());
    const std::string what =
        std::format("making the store's image of {} paths, {}", spec.contents.names.size(), mebibytes(spec.contents.nar_bytes));
    progress(what);
    const std::string place = spec.run_directory + "/view";
    if (::mkdir(place.c_str(), 0700) < 0 && errno != EEXIST) return fail(errno, making_image, place);
    auto file = new_file(path);
    if (!file) return std::unexpected(file.error());
    if (::fcntl(file->fd.get(), F_SETFD, 0) < 0) return fail(errno, making_image, path);
    std::vector<std::string> argv{*mkfs};
    for (auto &word : options_of(spec)) argv.push_back(std::move(word));
    argv.insert(argv.end(), {std::format("/proc/self/fd/{}", file->fd.get()), place});
    const auto tick = [&] {
        struct stat now{};
        if (::fstat(file->fd.get(), &now) == 0) progress(std::format("{}: {} written", what, mebibytes(now.st_blocks * 512ULL)));
    };
    auto exit = run_over_view({spec.store, spec.contents.names, place}, argv, tick);
    (void)::fcntl(file->fd.get(), F_SETFD, FD_CLOEXEC);
    auto done = exit ? check_exit(*exit, *mkfs, path) : std::unexpected(exit.error());
    if (done) done = give_name(*file, path);
    if (done) (void)use_entry(path, store_images);
    if (!done && !file->name.empty()) (void)::unlink(file->name.c_str());
    return done;
}

}  // namespace hostside

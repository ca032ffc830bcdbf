#include "mounts/nix/nar.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "mounts/base/at.h"
#include "mounts/base/directory.h"
#include "mounts/nix/sha256.h"

namespace mounts {

namespace {

constexpr size_t chunk_bytes = 65536;
constexpr size_t target_limit_bytes = 65536;

class Writer {
  public:
    Writer(const std::function<void(std::string_view)> &sink, Others others)
        : sink_(sink), others_(others), chunk_(chunk_bytes, '\0') {}

    void text(std::string_view value) {
        number(value.size());
        sink_(value);
        pad(value.size());
    }

    // `path` is for messages: the full path of `name` in `directory`.
    base::Result<> node(int directory, const std::string &name, const std::string &path) {
        struct stat st{};
        if (::fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) return base::fail(errno, "read", path);
        text("(");
        text("type");
        auto written = S_ISREG(st.st_mode)   ? file(directory, name, path)
                       : S_ISDIR(st.st_mode) ? entries(directory, name, path)
                       : S_ISLNK(st.st_mode)
                           ? symlink(directory, name, path)
                           : base::fail(0, "read", path, "a store path holds files, directories and symlinks only");
        if (written) text(")");
        return written;
    }

  private:
    void number(uint64_t value) {
        std::array<char, 8> bytes{};
        for (char &byte : bytes) byte = static_cast<char>(value & 0xff), value >>= 8;
        sink_({bytes.data(), bytes.size()});
    }
    void pad(uint64_t size) { sink_(std::string_view("\0\0\0\0\0\0\0", (8 - size % 8) % 8)); }

    base::Result<> file(int directory, const std::string &name, const std::string &path) {
        const auto fd = base::open_at(directory, name, O_RDONLY | O_NOFOLLOW);
        if (!fd) return base::fail(fd.error().code, "read", path);
        struct stat st{};
        if (::fstat(fd->get(), &st) < 0) return base::fail(errno, "read", path);
        text("regular");
        if ((st.st_mode & S_IXUSR) != 0) {
            text("executable");
            text("");
        }
        const auto size = static_cast<uint64_t>(st.st_size);
        text("contents");
        number(size);
        for (uint64_t left = size; left != 0;) {
            const ssize_t n = ::read(fd->get(), chunk_.data(), std::min<uint64_t>(left, chunk_.size()));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return base::fail(errno, "read", path);
            if (n == 0) return base::fail(0, "read", path, "it became shorter while it was read");
            sink_({chunk_.data(), static_cast<size_t>(n)});
            left -= static_cast<uint64_t>(n);
        }
        pad(size);
        return {};
    }

    base::Result<> symlink(int directory, const std::string &name, const std::string &path) {
        std::string target(target_limit_bytes, '\0');
        const ssize_t n = ::readlinkat(directory, name.c_str(), target.data(), target.size());
        if (n < 0) return base::fail(errno, "read", path);
        text("symlink");
        text("target");
        text({target.data(), static_cast<size_t>(n)});
        return {};
    }

    base::Result<> entries(int directory, const std::string &name, const std::string &path) {
        auto fd = base::open_at(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!fd) return base::fail(fd.error().code, "read", path);
        const auto names = list(fd->get(), path);
        if (!names) return std::unexpected(names.error());
        text("directory");
        for (const auto &entry : *names) {
            text("entry");
            text("(");
            text("name");
            text(entry);
            text("node");
            if (auto written = node(fd->get(), entry, path + "/" + entry); !written) return written;
            text(")");
        }
        return {};
    }

    [[nodiscard]] base::Result<std::vector<std::string>> list(int directory, const std::string &path) const {
        auto names = base::names_in(directory, path);
        if (names && others_ == Others::left_out)
            std::erase_if(*names, [&](const std::string &name) { return !holds(directory, name); });
        if (names) std::ranges::sort(*names);
        return names;
    }

    // Something that stat fails on counts as held, because reading it reports the error.
    static bool holds(int directory, const std::string &name) {
        struct stat st{};
        return ::fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ||
               S_ISLNK(st.st_mode);
    }

    const std::function<void(std::string_view)> &sink_;
    Others others_;
    std::string chunk_;
};

}  // namespace

base::Result<> write_nar(const std::string &path, const std::function<void(std::string_view)> &sink, Others others) {
    Writer writer(sink, others);
    writer.text("nix-archive-1");
    return writer.node(AT_FDCWD, path, path);
}

base::Result<NarHash> hash_nar(const std::string &path) {
    Sha256Stream hash;
    uint64_t size_bytes = 0;
    const auto written = write_nar(path, [&](std::string_view bytes) {
        hash.add(bytes);
        size_bytes += bytes.size();
    });
    if (!written) return std::unexpected(written.error());
    return NarHash{hash.finish(), size_bytes};
}

}  // namespace mounts

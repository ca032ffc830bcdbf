#include "tests/support/faulty_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#define FUSE_USE_VERSION 317
#include <fuse3/fuse_lowlevel.h>

#include "mounts/base/fd.h"
#include "tests/support/fuse_mount.h"

namespace support {

using Call = FaultyDirectory::Call;

struct FaultyDirectory::State {
    std::string backing;
    std::mutex mutex;                   // protects the following members
    std::deque<std::string> paths{{}};  // by node ID, which starts at 1; relative to the backing directory
    std::map<std::string, fuse_ino_t> ids{{{}, FUSE_ROOT_ID}};
    Call call{};
    std::string name;
    int error = 0;
    std::optional<FuseMount> mount;  // last, so that its thread ends before the other members go

    std::string path_of(fuse_ino_t id) {
        const std::lock_guard lock(mutex);
        return paths.at(id - 1);
    }
    fuse_ino_t id_of(const std::string &path) {
        const std::lock_guard lock(mutex);
        const auto [at, is_new] = ids.try_emplace(path, paths.size() + 1);
        if (is_new) paths.push_back(path);
        return at->second;
    }
    int error_of(Call asked, std::string_view path) {
        const std::lock_guard lock(mutex);
        return asked == call && path.substr(path.rfind('/') + 1) == name ? error : 0;
    }
};

namespace {

struct Asked {
    FaultyDirectory::State &state;
    std::string path, full;  // relative to the backing directory, and absolute
    Asked(fuse_req_t request, fuse_ino_t id, const char *name = nullptr)
        : state(*static_cast<FaultyDirectory::State *>(::fuse_req_userdata(request))),
          path(state.path_of(id) + (name == nullptr ? std::string{} : "/" + std::string(name))),
          full(state.backing + path) {}
};

void lookup(fuse_req_t request, fuse_ino_t parent, const char *name) {
    const Asked asked(request, parent, name);
    fuse_entry_param entry{};
    int error = asked.state.error_of(Call::lookup, asked.path);
    if (error == 0 && ::lstat(asked.full.c_str(), &entry.attr) < 0) error = errno;
    if (error != 0) {
        ::fuse_reply_err(request, error);
        return;
    }
    entry.ino = asked.state.id_of(asked.path);
    ::fuse_reply_entry(request, &entry);
}

void getattr(fuse_req_t request, fuse_ino_t id, fuse_file_info *) {
    const Asked asked(request, id);
    struct stat status{};
    int error = asked.state.error_of(Call::attributes, asked.path);
    if (error == 0 && ::lstat(asked.full.c_str(), &status) < 0) error = errno;
    if (error != 0)
        ::fuse_reply_err(request, error);
    else
        ::fuse_reply_attr(request, &status, 0);
}

void open(fuse_req_t request, fuse_ino_t, fuse_file_info *info) { ::fuse_reply_open(request, info); }

void opendir(fuse_req_t request, fuse_ino_t id, fuse_file_info *info) {
    const Asked asked(request, id);
    if (const int error = asked.state.error_of(Call::open_directory, asked.path); error != 0)
        ::fuse_reply_err(request, error);
    else
        ::fuse_reply_open(request, info);
}

void read(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset, fuse_file_info *) {
    const base::Fd fd(::open(Asked(request, id).full.c_str(), O_RDONLY | O_CLOEXEC));
    std::string data(size, '\0');
    const ssize_t n = ::pread(fd.get(), data.data(), size, offset);
    ::fuse_reply_buf(request, data.data(), n < 0 ? 0 : static_cast<size_t>(n));
}

void readdir(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset, fuse_file_info *) {
    DIR *directory = ::opendir(Asked(request, id).full.c_str());
    std::string answer(size, '\0');
    size_t used = 0;
    off_t at = 0;
    while (const dirent *entry = directory == nullptr ? nullptr : ::readdir(directory)) {
        if (++at <= offset) continue;
        struct stat status{};
        status.st_ino = entry->d_ino;
        status.st_mode = DTTOIF(entry->d_type);
        const size_t needed = ::fuse_add_direntry(request, answer.data() + used, size - used, entry->d_name, &status, at);
        if (needed > size - used) break;
        used += needed;
    }
    if (directory != nullptr) ::closedir(directory);
    ::fuse_reply_buf(request, answer.data(), used);
}

void answer_xattr(fuse_req_t request, int error, ssize_t n, const std::string &data, size_t size) {
    if (error != 0)
        ::fuse_reply_err(request, error);
    else if (size == 0)
        ::fuse_reply_xattr(request, static_cast<size_t>(n));
    else
        ::fuse_reply_buf(request, data.data(), static_cast<size_t>(n));
}

void getxattr(fuse_req_t request, fuse_ino_t id, const char *name, size_t size) {
    const Asked asked(request, id);
    std::string value(size, '\0');
    int error = asked.state.error_of(Call::get_xattr, asked.path);
    const ssize_t n = ::lgetxattr(asked.full.c_str(), name, value.data(), size);
    if (error == 0 && n < 0) error = errno;
    answer_xattr(request, error, n, value, size);
}

void listxattr(fuse_req_t request, fuse_ino_t id, size_t size) {
    const Asked asked(request, id);
    std::string list(size, '\0');
    int error = asked.state.error_of(Call::list_xattrs, asked.path);
    const ssize_t n = ::llistxattr(asked.full.c_str(), list.data(), size);
    if (error == 0 && n < 0) error = errno;
    answer_xattr(request, error, n, list, size);
}

const fuse_lowlevel_ops &operations() {
    static const fuse_lowlevel_ops ops = [] {
        fuse_lowlevel_ops o{};
        o.lookup = lookup;
        o.getattr = getattr;
        o.open = open;
        o.opendir = opendir;
        o.read = read;
        o.readdir = readdir;
        o.getxattr = getxattr;
        o.listxattr = listxattr;
        return o;
    }();
    return ops;
}

}  // namespace

FaultyDirectory::FaultyDirectory(const std::string &backing, const std::string &mount_point) : state_(std::make_unique<State>()) {
    state_->backing = backing;
    state_->mount.emplace(operations(), state_.get(), mount_point);
}

FaultyDirectory::~FaultyDirectory() = default;

void FaultyDirectory::fail(Call call, const std::string &name, int error) {
    const std::lock_guard lock(state_->mutex);
    state_->call = call;
    state_->name = name;
    state_->error = error;
}

}  // namespace support

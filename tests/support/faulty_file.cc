#include "tests/support/faulty_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <stdexcept>

#define FUSE_USE_VERSION 317
#include <fuse3/fuse_lowlevel.h>

#include "mounts/base/fd.h"
#include "tests/support/disk.h"
#include "tests/support/fuse_mount.h"

namespace support {

struct FaultyFile::State {
    base::Fd backing;
    std::string mount_point;
    mutable std::mutex mutex;  // protects the following members
    std::optional<uint64_t> bad_read, bad_write;
    std::vector<RecordedWrite> record;
    std::optional<FuseMount> mount;  // last, so that its thread ends before the other members go
};

namespace {

constexpr fuse_ino_t file_inode = 2;
constexpr const char *file_name = "disk";

FaultyFile::State &state_of(fuse_req_t request) { return *static_cast<FaultyFile::State *>(::fuse_req_userdata(request)); }

bool touches(const std::optional<uint64_t> &bad, off_t offset, size_t size) {
    const auto from = static_cast<uint64_t>(offset);
    return bad && from < *bad + 512 && *bad < from + size;
}

struct stat attributes(FaultyFile::State &state, fuse_ino_t inode) {
    struct stat status{};
    if (inode == FUSE_ROOT_ID) {
        status.st_mode = S_IFDIR | 0755;
    } else {
        (void)::fstat(state.backing.get(), &status);
        status.st_mode = S_IFREG | 0600;
    }
    status.st_ino = inode;
    status.st_nlink = 1;
    return status;
}

void lookup(fuse_req_t request, fuse_ino_t, const char *name) {
    if (std::strcmp(name, file_name) != 0) {
        ::fuse_reply_err(request, ENOENT);
        return;
    }
    fuse_entry_param entry{};
    entry.ino = file_inode;
    entry.attr = attributes(state_of(request), file_inode);
    ::fuse_reply_entry(request, &entry);
}

void getattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info *) {
    const struct stat status = attributes(state_of(request), inode);
    ::fuse_reply_attr(request, &status, 1);
}

void open(fuse_req_t request, fuse_ino_t, fuse_file_info *info) {
    info->direct_io = 1;  // every request of the loop device comes here, in order
    ::fuse_reply_open(request, info);
}

void read(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info *) {
    FaultyFile::State &state = state_of(request);
    const std::lock_guard lock(state.mutex);
    std::string data(size, '\0');
    const ssize_t n = touches(state.bad_read, offset, size) ? -1 : ::pread(state.backing.get(), data.data(), size, offset);
    if (n < 0)
        ::fuse_reply_err(request, EIO);
    else
        ::fuse_reply_buf(request, data.data(), static_cast<size_t>(n));
}

void write(fuse_req_t request, fuse_ino_t, const char *data, size_t size, off_t offset, fuse_file_info *) {
    FaultyFile::State &state = state_of(request);
    const std::lock_guard lock(state.mutex);
    if (touches(state.bad_write, offset, size) ||
        ::pwrite(state.backing.get(), data, size, offset) != static_cast<ssize_t>(size)) {
        ::fuse_reply_err(request, EIO);
        return;
    }
    state.record.push_back({false, static_cast<uint64_t>(offset), std::string(data, size)});
    ::fuse_reply_write(request, size);
}

void fsync(fuse_req_t request, fuse_ino_t, int, fuse_file_info *) {
    FaultyFile::State &state = state_of(request);
    const std::lock_guard lock(state.mutex);
    state.record.push_back({true, 0, {}});
    ::fuse_reply_err(request, 0);
}

const fuse_lowlevel_ops &operations() {
    static const fuse_lowlevel_ops ops = [] {
        fuse_lowlevel_ops o{};
        o.lookup = lookup;
        o.getattr = getattr;
        o.open = open;
        o.read = read;
        o.write = write;
        o.fsync = fsync;
        return o;
    }();
    return ops;
}

}  // namespace

FaultyFile::FaultyFile(const std::string &backing, const std::string &mount_point) : state_(std::make_unique<State>()) {
    state_->backing = base::Fd(::open(backing.c_str(), O_RDWR | O_CLOEXEC));
    if (!state_->backing) throw std::runtime_error("open " + backing);
    state_->mount_point = mount_point;
    state_->mount.emplace(operations(), state_.get(), mount_point);
}

FaultyFile::~FaultyFile() = default;

std::string FaultyFile::path() const { return state_->mount_point + "/" + file_name; }

void FaultyFile::fail_reads(std::optional<uint64_t> offset) {
    const std::lock_guard lock(state_->mutex);
    state_->bad_read = offset;
}

void FaultyFile::fail_writes(std::optional<uint64_t> offset) {
    const std::lock_guard lock(state_->mutex);
    state_->bad_write = offset;
}

std::vector<RecordedWrite> FaultyFile::record() const {
    const std::lock_guard lock(state_->mutex);
    return state_->record;
}

void replay_cut(const std::vector<RecordedWrite> &record, size_t cut, const std::string &image, std::mt19937 &random,
                size_t sector_bytes) {
    size_t flushed = 0;
    for (size_t i = 0; i < cut; ++i)
        if (record[i].flush) flushed = i;
    const bool in_order = random() % 2 == 0;
    for (size_t i = 0; i < cut; ++i)
        if (!record[i].flush && (i < flushed || in_order || random() % 2 == 0))
            write_bytes(image, record[i].offset, record[i].data);
    if (cut == record.size() || record[cut].flush) return;
    for (size_t at = 0; at < record[cut].data.size(); at += sector_bytes)
        if (random() % 2 == 0) write_bytes(image, record[cut].offset + at, record[cut].data.substr(at, sector_bytes));
}

}  // namespace support

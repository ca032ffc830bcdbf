// The data of files. In store mode, the kernel opens files without us and keeps their pages. In throughput mode, an open gives
// the kernel the backing file, and reads and writes never come here.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "unionfs/fuse/guarded.h"
#include "unionfs/fuse/operations.h"
#include "unionfs/fuse/passthrough_writers.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

thread_local bool kill_set_id = false;

namespace {

thread_local char *room = nullptr;  // without a destructor, because musl runs none for thread-local variables
thread_local size_t room_size = 0;
thread_local std::span<char> lent;

}  // namespace

char *reply_buffer(size_t size) {
    if (size <= lent.size()) return lent.data();
    if (room_size < size) {
        free_reply_buffer();
        room = new char[size];
        room_size = size;
    }
    return room;
}

void lend_reply_buffer(std::span<char> buffer) { lent = buffer; }

void free_reply_buffer() {
    delete[] room;
    room = nullptr;
    room_size = 0;
}

namespace {

// The handle of an open file tells how it was opened. 0: without us, or not counted.
constexpr uint64_t by_passthrough = 1;
constexpr uint64_t by_page_cache = 2;

// A write clears set-user-ID and capabilities if the caller has no right to keep them. The kernel sends us such writes only
// without passthrough (FUSE_HANDLE_KILLPRIV_V2).
bool has_privileges(Union &fs, Node &node) {
    struct stat status{};
    Location place;
    if (fs.attributes(node, status) != 0 || fs.resolve_held(node, place) != 0) return true;
    if ((status.st_mode & (S_ISUID | S_ISGID)) != 0) return true;
    const ssize_t n = get_xattr(place.fd(), place.name.c_str(), "security.capability", nullptr, 0);
    return n >= 0 || !is_no_attribute(static_cast<int>(-n));
}

bool is_passed_through(Node &node) {
    const std::lock_guard lock(node.mutex);
    return node.opens != 0;
}

// Whether the kernel should read and write the visible file by itself. An inode has only one backing file at a time, and after
// a copy-up the lower's is the wrong one. So a lower file is passed only if there is no copy-up, or if its readers may go
// stale.
bool is_to_pass(Union &fs, Node &node, bool write) {
    if (!node.upper) return !fs.takes_changes() || fs.options.stale_readers;
    return is_passed_through(node) || !write || !has_privileges(fs, node);
}

// Gives the kernel the backing file. False: the file goes through the page cache. The Node is locked.
bool pass_through(fuse_req_t request, Node &node, int fd, fuse_file_info &info) {
    if (node.cached_opens != 0) return false;
    if (node.opens == 0) {
        node.backing_id = open_backing_file(request, fd);
        node.lower_backing = !node.upper;
    }
    if (node.backing_id <= 0) return false;
    info.backing_id = node.backing_id;
    info.keep_cache = 0;
    return true;
}

}  // namespace

int open_file(Session &session, fuse_req_t request, Node &node, fuse_file_info &info) {
    Union &fs = session.fs;
    const bool write = (info.flags & O_ACCMODE) != O_RDONLY || (info.flags & O_TRUNC) != 0;
    info.keep_cache = 1;
    info.noflush = 1;
    info.fh = 0;
    if (!node.is_file()) return 0;
    if (write)
        if (const int error = fs.copy_up(node); error != 0) return error;
    FdRef fd;
    if (write && node.upper)
        if (const int error = fs.data(node, true, fd); error != 0) return error;  // EPERM: it is immutable
    if (write && node.slot_appends && (info.flags & (O_APPEND | O_TRUNC)) != O_APPEND) return EPERM;
    if (!session.passthrough) return 0;
    const bool of_lower = !node.upper;
    const bool wanted = is_to_pass(fs, node, write);
    if (wanted && !fd)
        if (const int error = fs.data(node, false, fd); error != 0) return error;
    std::unique_lock lock(node.mutex);
    if (node.left || (node.upper && node.opens != 0 && node.lower_backing)) {
        lock.unlock();
        return fs.leave_to_readers(node);
    }
    if (wanted && of_lower && node.upper) return ESTALE;  // copied up in between; the kernel will retry
    const SharedMemory::Reference file = fs.table.reference(&node);
    const bool counted = fs.journal.counted(file);
    const bool through = counted ? node.opens != 0 : wanted;  // an inode has one kind at a time, so this tells which
    info.fh = through && pass_through(request, node, fd ? fd->get() : -1, info) ? by_passthrough : by_page_cache;
    if (info.fh == by_passthrough && write) begin_passthrough_writes(fs, node, (info.flags & O_CREAT) != 0);
    if (counted) return 0;
    if (info.fh == by_passthrough)
        fs.journal.count(RequestKind::open, file, node.opens, 1, node.cached_opens);
    else
        fs.journal.count(RequestKind::open, file, node.cached_opens, 1, node.opens);
    return 0;
}

namespace {

void open(fuse_req_t request, fuse_ino_t id, fuse_file_info *info) {
    Session &session = session_of(request);
    if (session.no_open) {
        fuse_reply_err(request, ENOSYS);  // the kernel never asks again
        return;
    }
    const int error = open_file(session, request, node_of(request, id), *info);
    if (error != 0)
        fuse_reply_err(request, error);
    else
        fuse_reply_open(request, info);
}

void release(fuse_req_t request, fuse_ino_t id, fuse_file_info *info) {
    Node &node = node_of(request, id);
    std::unique_lock lock(node.mutex);
    Union &fs = union_of(request);
    const SharedMemory::Reference file = fs.table.reference(&node);
    const bool counted = fs.journal.counted(file);
    if (info->fh == by_passthrough && !counted) fs.journal.count(RequestKind::release, file, node.opens, -1U, node.cached_opens);
    if (info->fh == by_page_cache && !counted) fs.journal.count(RequestKind::release, file, node.cached_opens, -1U, node.opens);
    if (info->fh == by_passthrough && node.opens == 0 && node.backing_id > 0) {
        (void)fuse_passthrough_close(request, node.backing_id);  // the end of the connection closes it too
        node.backing_id = 0;
    }
    lock.unlock();  // after the answer, the kernel may forget the node, and another thread may free it
    fuse_reply_err(request, 0);
}

void read(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset, fuse_file_info *) {
    FdRef fd;
    if (const int error = union_of(request).data(node_of(request, id), false, fd); error != 0) {
        fuse_reply_err(request, error);
        return;
    }
    char *const buffer = reply_buffer(size);
    const ssize_t n = ::pread(fd->get(), buffer, size, offset);
    if (n < 0)
        fuse_reply_err(request, errno);
    else
        fuse_reply_buf(request, buffer, static_cast<size_t>(n));
}

// To an append-only file, chattr(1), the kernel appends whatever the offset. What a dead worker appended before it answered is
// not appended again. Until that answer, the kernel lets nobody else write to the file.
ssize_t append(Union &fs, int fd, const char *data, size_t size, off_t offset) {
    const JournalEntry &entry = fs.journal.note({.kind = RequestKind::append});
    struct stat status{};
    if (entry.inherited && ::fstat(fd, &status) < 0) return -1;
    const size_t there = entry.inherited ? std::min(static_cast<size_t>(std::max<off_t>(status.st_size - offset, 0)), size) : 0;
    const ssize_t n = there == size ? 0 : ::pwrite(fd, data + there, size - there, offset);
    return n < 0 && there == 0 ? -1 : static_cast<ssize_t>(there) + std::max<ssize_t>(n, 0);
}

void write(fuse_req_t request, fuse_ino_t id, const char *data, size_t size, off_t offset, fuse_file_info *info) {
    Union &fs = union_of(request);
    Node &node = node_of(request, id);
    FdRef fd;
    int error = fs.copy_up(node, -1, Told::by_the_answer);
    if (error == 0) error = fs.data(node, true, fd);
    if (error == 0 && node.slot_appends && (info->flags & O_APPEND) == 0) error = EPERM;  // the kernel would append the data
    if (error == 0 && kill_set_id) error = drop_set_id(request, node, Kill::always);
    ssize_t n = -1;
    if (error == 0) n = node.slot_appends ? append(fs, fd->get(), data, size, offset) : ::pwrite(fd->get(), data, size, offset);
    if (error != 0)
        fuse_reply_err(request, error);
    else if (n < 0)
        fuse_reply_err(request, errno);
    else
        fuse_reply_write(request, static_cast<size_t>(n));
}

void fsync(fuse_req_t request, fuse_ino_t id, int data_only, fuse_file_info *) {
    Union &fs = union_of(request);
    Node &node = node_of(request, id);
    FdRef fd;
    int error = node.upper && node.is_file() ? fs.data(node, false, fd) : 0;
    if (error == 0 && fd && (data_only != 0 ? ::fdatasync(fd->get()) : ::fsync(fd->get())) < 0) error = errno;
    fuse_reply_err(request, error);
}

void fallocate(fuse_req_t request, fuse_ino_t id, int mode, off_t offset, off_t length, fuse_file_info *) {
    Union &fs = union_of(request);
    Node &node = node_of(request, id);
    FdRef fd;
    int error = fs.data(node, true, fd);
    if (error == 0) error = drop_set_id(request, node, Kill::unless_capable);  // the kernel leaves this to us without saying so
    if (error == 0 && ::fallocate(fd->get(), mode, offset, length) < 0) {
        error = errno;
        fs.changed_by_us(node);  // a file system may set the times before it runs out of space
    }
    fuse_reply_err(request, error);
}

void lseek(fuse_req_t request, fuse_ino_t id, off_t offset, int whence, fuse_file_info *) {
    FdRef fd;
    if (const int error = union_of(request).data(node_of(request, id), false, fd); error != 0) {
        fuse_reply_err(request, error);
        return;
    }
    const off_t at = ::lseek(fd->get(), offset, whence);
    if (at < 0)
        fuse_reply_err(request, errno);
    else
        fuse_reply_lseek(request, at);
}

void copy_file_range(fuse_req_t request, fuse_ino_t id_in, off_t from, fuse_file_info *, fuse_ino_t id_out, off_t to,
                     fuse_file_info *, size_t size, int flags) {
    Union &fs = union_of(request);
    Node &target = node_of(request, id_out);
    FdRef in, out;
    int error = fs.data(node_of(request, id_in), false, in);
    if (error == 0) error = fs.data(target, true, out);
    if (error == 0 && target.slot_appends) error = EPERM;
    if (error == 0) error = drop_set_id(request, target, Kill::unless_capable);  // as for fallocate
    const ssize_t n = error == 0 ? ::copy_file_range(in->get(), &from, out->get(), &to, size, static_cast<unsigned>(flags)) : -1;
    if (error == 0 && n < 0) {
        error = errno == EXDEV ? EOPNOTSUPP : errno;  // on EOPNOTSUPP, the kernel copies by itself
        fs.changed_by_us(target);                     // as for fallocate
    }
    if (error != 0)
        fuse_reply_err(request, error);
    else
        fuse_reply_write(request, static_cast<size_t>(n));
}

}  // namespace

void add_data(fuse_lowlevel_ops &ops) {
    guard<open>(ops.open);
    guard<release>(ops.release);
    guard<read>(ops.read);
    guard<write>(ops.write);
    guard<fsync>(ops.fsync);
    guard<fallocate>(ops.fallocate);
    guard<lseek>(ops.lseek);
    guard<copy_file_range>(ops.copy_file_range);
}

}  // namespace unionfs

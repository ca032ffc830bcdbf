// FUSE_STATX (Linux 6.6), which libfuse before 3.18 doesn't know. The kernel sends it when a program asks for a birth time. The
// answer is that of the visible object, so after a copy-up the copy's, as with overlayfs.
#include "unionfs/fuse/op_statx.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "unionfs/fuse/passthrough_writers.h"

namespace unionfs {

namespace {

// From linux/fuse.h of Linux 6.6.
struct InHeader {
    uint32_t length, opcode;
    uint64_t unique, node;
    uint32_t uid, gid, pid;
    uint16_t extensions, padding;
};
struct Time {
    int64_t seconds;
    uint32_t nanoseconds;
    int32_t reserved;
};
struct Statx {
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, spare0;
    uint64_t ino, size, blocks, attributes_mask;
    Time atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t spare2[14];
};
struct Answer {
    uint32_t length;
    int32_t error;
    uint64_t unique;
    uint64_t valid_seconds;
    uint32_t valid_nanoseconds, flags;
    uint64_t spare[2];
    Statx status;
};
static_assert(sizeof(Answer) == sizeof(StatxAnswer::bytes));
constexpr uint32_t opcode = 52;
constexpr uint32_t error_length = 16;

Time time_of(const statx_timestamp &time) { return {time.tv_sec, time.tv_nsec, 0}; }

int fill(Union &fs, Node &node, Statx &out) {
    Location place;
    struct stat shown{};
    struct statx found{};
    end_passthrough_writes(fs, node);
    if (const int error = fs.attributes(node, shown); error != 0) return error;
    if (const int error = fs.resolve_held(node, place); error != 0) return error;
    if (::statx(place.fd(), place.name.c_str(), place.flags(), STATX_BASIC_STATS | STATX_BTIME, &found) < 0) return errno;
    out.mask = found.stx_mask & (STATX_BASIC_STATS | STATX_BTIME);
    out.blksize = found.stx_blksize;
    out.nlink = static_cast<uint32_t>(shown.st_nlink);
    out.uid = found.stx_uid;
    out.gid = found.stx_gid;
    out.mode = found.stx_mode;
    out.ino = shown.st_ino;
    out.size = static_cast<uint64_t>(shown.st_size);
    out.blocks = static_cast<uint64_t>(shown.st_blocks);
    out.atime = time_of(found.stx_atime);
    out.btime = time_of(found.stx_btime);
    out.ctime = {shown.st_ctim.tv_sec, static_cast<uint32_t>(shown.st_ctim.tv_nsec), 0};
    out.mtime = time_of(found.stx_mtime);
    out.rdev_major = found.stx_rdev_major;
    out.rdev_minor = found.stx_rdev_minor;
    return 0;
}

}  // namespace

bool answer_statx(Union &fs, const fuse_buf &request, StatxAnswer &answer) {
    InHeader header{};
    if (request.size < sizeof header) return false;
    std::memcpy(&header, request.mem, sizeof header);
    if (header.opcode != opcode) return false;
    Answer out{};
    out.unique = header.unique;
    Node &node =
        header.node == FUSE_ROOT_ID ? *fs.root : *reinterpret_cast<Node *>(header.node);  // NOLINT(performance-no-int-to-ptr)
    try {
        out.error = -fill(fs, node, out.status);
    } catch (const std::bad_alloc &) {
        out.error = -ENOMEM;
    }
    out.valid_seconds = static_cast<uint64_t>(attributes_stay(node));
    out.length = out.error == 0 ? sizeof out : error_length;
    std::memcpy(answer.bytes, &out, sizeof out);
    answer.size = out.length;
    return true;
}

}  // namespace unionfs

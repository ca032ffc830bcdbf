#include "unionfs/fuse/init_negotiation.h"

#include <linux/fuse.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "unionfs/recovery/handover.h"

namespace unionfs {

namespace {

// Bit numbers in `flags` and `flags2` of INIT, from linux/fuse.h of Linux 6.9 and 6.14.
constexpr unsigned resend = 39;
constexpr unsigned over_io_uring = 41;

// `feature` is at least 32.
bool kernel_has(const fuse_buf &request, unsigned feature) {
    fuse_init_in init{};
    if (request.size < sizeof(fuse_in_header) + offsetof(fuse_init_in, flags2) + sizeof init.flags2) return false;
    const char *begin = static_cast<const char *>(request.mem) + sizeof(fuse_in_header);
    std::memcpy(&init, begin, std::min(sizeof init, request.size - sizeof(fuse_in_header)));
    return (init.flags & FUSE_INIT_EXT) != 0 && (init.flags2 & (1U << (feature - 32))) != 0;
}

}  // namespace

void negotiate_init(void *userdata, fuse_conn_info *connection) {
    auto &session = *static_cast<Session *>(userdata);
    const auto want = [&](uint64_t feature) {
        return (connection->capable_ext & feature) != 0 && fuse_set_feature_flag(connection, feature);
    };
    want(FUSE_CAP_PARALLEL_DIROPS);
    want(FUSE_CAP_CACHE_SYMLINKS);
    want(FUSE_CAP_HANDLE_KILLPRIV_V2);
    want(FUSE_CAP_SETXATTR_EXT);  // tells when an access ACL clears set-group-ID
    want(FUSE_CAP_NO_OPENDIR_SUPPORT);
    want(FUSE_CAP_READDIRPLUS);
    // A file handle would be a node id. That is invalid once the kernel has forgotten the inode (ESTALE), and after the next
    // mount.
    want(FUSE_CAP_NO_EXPORT_SUPPORT);
    if (want(FUSE_CAP_POSIX_ACL)) want(FUSE_CAP_DONT_MASK);
    // O_TRUNC comes as a setattr, because an open that is never sent can't carry it.
    fuse_unset_feature_flag(connection, FUSE_CAP_ATOMIC_O_TRUNC);
    // After an asynchronous direct write, the page cache keeps the old data: fuse_aio_complete (linux/fs/fuse/file.c) drops
    // nothing. Without this flag, the kernel waits for each write and then drops the old pages.
    fuse_unset_feature_flag(connection, FUSE_CAP_ASYNC_DIO);
    // Pages stay valid until we say otherwise, and we never do.
    fuse_unset_feature_flag(connection, FUSE_CAP_AUTO_INVAL_DATA);
    connection->no_interrupt = 1;
    connection->max_background = 64;
    if (session.mode == Mode::store) {
        session.no_open = (connection->capable_ext & FUSE_CAP_NO_OPEN_SUPPORT) != 0;
    } else if (want(FUSE_CAP_PASSTHROUGH)) {
        session.passthrough = true;
        connection->max_backing_stack_depth = 1;  // layers on overlayfs or FUSE work too
    }
}

void save_init(Union &fs, const fuse_buf &buffer) {
    Handover &handover = handover_of(fs.memory);
    if (buffer.size > sizeof handover.init) return;  // then there can't be a successor
    std::memcpy(handover.init, buffer.mem, buffer.size);
    handover.kernel_resends = kernel_has(buffer, resend);
    handover.kernel_has_io_uring = kernel_has(buffer, over_io_uring);
    handover.init_size = static_cast<uint32_t>(buffer.size);
}

void offer_rings(const Union &fs, RingThreads &rings, const iovec *parts, int count) {
    Handover &handover = handover_of(fs.memory);
    if (!fs.options.io_uring || !handover.kernel_has_io_uring) return;
    if (count < 2 || parts[1].iov_len < offsetof(fuse_init_out, flags2) + sizeof(uint32_t)) return;  // the answer is an error
    auto &answer = *static_cast<fuse_init_out *>(parts[1].iov_base);
    const size_t pages_bytes = answer.max_pages * static_cast<size_t>(::getpagesize());
    if (const auto prepared = rings.prepare(std::max<size_t>({answer.max_write, pages_bytes, 8192})); !prepared) {
        handover.io_uring_error = prepared.error().code;
        return;
    }
    answer.flags2 |= 1U << (over_io_uring - 32);
    handover.over_io_uring = true;
}

}  // namespace unionfs

#include "unionfs/fuse/request.h"

#include <linux/fuse.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace unionfs {

namespace {

constexpr int populate_write = 23;              // MADV_POPULATE_WRITE, linux/mman.h of 5.14
constexpr size_t room_bytes = size_t{2} << 20;  // more than libfuse's largest request of 1 MiB and its header

}  // namespace

uint64_t unique_of(const fuse_buf &request) {
    fuse_in_header header{};
    if (request.size >= sizeof header) std::memcpy(&header, request.mem, sizeof header);
    return header.unique;
}

bool wants_kill(const fuse_buf &request) {
    const char *bytes = static_cast<const char *>(request.mem);
    fuse_in_header header{};
    uint32_t flags = 0;
    if (request.size < sizeof header) return false;
    std::memcpy(&header, bytes, sizeof header);
    bytes += sizeof header;
    const size_t least = header.opcode == FUSE_SETXATTR ? sizeof(fuse_setxattr_in) : sizeof(fuse_write_in);
    if (request.size < sizeof header + least) return false;
    if (header.opcode == FUSE_WRITE) {
        std::memcpy(&flags, bytes + offsetof(fuse_write_in, write_flags), sizeof flags);
        return (flags & FUSE_WRITE_KILL_SUIDGID) != 0;
    }
    if (header.opcode == FUSE_SETXATTR) {
        std::memcpy(&flags, bytes + offsetof(fuse_setxattr_in, setxattr_flags), sizeof flags);
        return (flags & FUSE_SETXATTR_ACL_KILL_SGID) != 0;
    }
    if (header.opcode != FUSE_SETATTR) return false;
    std::memcpy(&flags, bytes + offsetof(fuse_setattr_in, valid), sizeof flags);
    return (flags & FATTR_KILL_SUIDGID) != 0;
}

RequestBuffer::RequestBuffer() : mem_(::mmap(nullptr, room_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}

RequestBuffer::~RequestBuffer() { ::munmap(mem_, room_bytes); }

fuse_buf RequestBuffer::ready_for(size_t bytes) {
    if (bytes > resident_) (void)::madvise(mem_, bytes, populate_write);
    resident_ = std::max(resident_, bytes);
    fuse_buf buffer{};
    buffer.mem = mem_;
    buffer.mem_size = room_bytes;
    return buffer;
}

}  // namespace unionfs

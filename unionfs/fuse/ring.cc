#include "unionfs/fuse/ring.h"

#include <liburing.h>
#include <linux/fuse.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace unionfs {

using base::fail;
using base::Result;

namespace {

// From linux/fuse.h of Linux 6.14.
struct Command {
    uint64_t flags, commit_id;
    uint16_t queue;
    uint8_t padding[6];
};
constexpr uint32_t register_entry = 1, commit_and_fetch = 2;

constexpr size_t page_bytes = 4096;

}  // namespace

struct Ring::Headers {
    char in_out[128];
    char operation[128];
    uint64_t flags, commit_id;
    uint32_t payload_size, padding;
    uint64_t reserved;
};

Ring::Ring(unsigned processor, size_t payload_bytes) : processor_(processor), payload_bytes_(payload_bytes) {}

Result<std::unique_ptr<Ring>> Ring::make(int device, unsigned processor, size_t payload_bytes) {
    std::unique_ptr<Ring> made(new Ring(processor, payload_bytes));
    void *memory = ::mmap(nullptr, 2 * page_bytes + payload_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return fail(errno, "mmap", "io_uring");
    made->memory_ = static_cast<char *>(memory);
    made->headers_ = reinterpret_cast<Headers *>(memory);
    made->payload_ = made->memory_ + 2 * page_bytes;
    made->places_[0] = {made->headers_, sizeof(Headers)};
    made->places_[1] = {made->payload_, payload_bytes};
    auto ring = std::make_unique<io_uring>();
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SQE128 | IORING_SETUP_COOP_TASKRUN;  // no interrupt while the thread is busy
    if (const int error = ::io_uring_queue_init_params(1, ring.get(), &parameters); error < 0)
        return fail(-error, "io_uring_setup", "io_uring");
    made->ring_ = std::move(ring);
    if (const int error = ::io_uring_register_files(made->ring_.get(), &device, 1); error < 0)
        return fail(-error, "io_uring_register", "/dev/fuse");
    return made;
}

Ring::~Ring() {
    if (ring_) ::io_uring_queue_exit(ring_.get());
    if (memory_ != nullptr) ::munmap(memory_, 2 * page_bytes + payload_bytes_);
}

int Ring::fetch() {
    io_uring_sqe *entry = ::io_uring_get_sqe(ring_.get());
    ::io_uring_prep_rw(IORING_OP_URING_CMD, entry, 0, registered_ ? nullptr : places_, registered_ ? 0 : 2, 0);
    entry->flags = IOSQE_FIXED_FILE;
    entry->cmd_op = registered_ ? commit_and_fetch : register_entry;
    Command command{};
    command.commit_id = registered_ ? headers_->commit_id : 0;
    command.queue = static_cast<uint16_t>(processor_);
    std::memcpy(entry->cmd, &command, sizeof command);
    io_uring_cqe *done = nullptr;
    int error = 0;
    do {
        error = ::io_uring_submit_and_wait(ring_.get(), 1);
        if (error < 0 && error != -EINTR) return -error;
    } while (::io_uring_peek_cqe(ring_.get(), &done) != 0);
    error = -done->res;
    ::io_uring_cqe_seen(ring_.get(), done);
    registered_ = true;
    return error;
}

// The payload stays where the kernel put it. Headers and operation are copied in front of it.
std::span<char> Ring::next() {
    if (fetch() != 0) return {};
    fuse_in_header header{};
    std::memcpy(&header, headers_->in_out, sizeof header);
    const size_t operation = header.len - sizeof header - headers_->payload_size;
    if (operation > sizeof headers_->operation) return {};
    char *start = payload_ - operation - sizeof header;
    std::memcpy(start, &header, sizeof header);
    std::memcpy(start + sizeof header, headers_->operation, operation);
    return {start, header.len};
}

void Ring::answer(const iovec *parts, int count) {
    std::memcpy(headers_->in_out, parts[0].iov_base, sizeof(fuse_out_header));
    size_t size = 0;
    for (int i = 0; i < count; ++i) {
        const size_t skipped = i == 0 ? sizeof(fuse_out_header) : 0;
        const size_t bytes = std::min(parts[i].iov_len - skipped, payload_bytes_ - size);
        const char *from = static_cast<const char *>(parts[i].iov_base) + skipped;
        if (from != payload_ + size) std::memmove(payload_ + size, from, bytes);
        size += bytes;
    }
    headers_->payload_size = static_cast<uint32_t>(size);
}

}  // namespace unionfs

#include "unionfs/fuse/ring_threads.h"

#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <exception>
#include <string>
#include <thread>

#include "mounts/base/at.h"

namespace unionfs {

using base::fail;
using base::Result;

namespace {

constexpr unsigned most_of_processor = 16;

constexpr const char *possible = "/sys/devices/system/cpu/possible";

// The kernel needs a queue for every possible processor. The file has "0" or "0-3\n". Returns 0 if it is unreadable or has
// gaps.
unsigned possible_processors() {
    const auto text = base::read_file(possible);
    if (!text) return 0;
    const size_t dash = text->find('-');
    const char *last = text->data() + (dash == std::string::npos ? 0 : dash + 1), *end = text->data() + text->size();
    unsigned number = 0;
    const auto [rest, error] = std::from_chars(last, end, number);
    return error == std::errc{} && (rest == end || *rest == '\n') ? number + 1 : 0;
}

}  // namespace

RingThreads::RingThreads(int device, std::atomic<unsigned> &running, Work work)
    : device_(device), running_(running), work_(std::move(work)) {}

Result<> RingThreads::prepare(size_t payload_bytes) {
    payload_bytes_ = payload_bytes;
    queues_ = std::vector<Queue>(possible_processors());
    if (queues_.empty()) return fail(ENODATA, "processors", possible);
    for (unsigned i = 0; i < queues_.size(); ++i) {
        auto ring = Ring::make(device_, i, payload_bytes);
        if (!ring) return std::unexpected(ring.error());
        queues_[i].first = std::move(*ring);
    }
    return {};
}

void RingThreads::start() {
    for (Queue &queue : queues_) start(std::move(queue.first));
}

void RingThreads::start(std::unique_ptr<Ring> ring) {
    ++running_;
    Queue &queue = queues_[ring->processor()];
    ++queue.threads;
    try {
        std::thread([this, own = std::move(ring)]() mutable {
            run(*own);
            own.reset();
            --running_;
        }).detach();
    } catch (const std::exception &) {
        --queue.threads;  // the other threads go on; the next request tries again
        --running_;
    }
}

void RingThreads::run(Ring &ring) {
    Queue &queue = queues_[ring.processor()];
    (void)::unshare(CLONE_FS);  // for its own umask
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(ring.processor(), &here);
    (void)::sched_setaffinity(0, sizeof here, &here);  // fails for an offline processor, which has no clients
    while (true) {
        ++queue.free;
        const std::span<char> request = ring.next();
        const bool was_last = --queue.free == 0;
        if (request.empty()) break;
        // A thread must be ready for the next request, however long this one takes.
        if (was_last && queue.threads < most_of_processor)
            if (auto another = Ring::make(device_, ring.processor(), payload_bytes_); another) start(std::move(*another));
        work_.serve(ring, request);
    }
    work_.left();
}

}  // namespace unionfs

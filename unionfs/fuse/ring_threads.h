// The threads that serve requests over io_uring: some for each processor, bound to it. The kernel gives a request to the
// thread of its processor that was last free; there is always another as long as there are fewer than `most`.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "unionfs/fuse/ring.h"

namespace unionfs {

class RingThreads {
  public:
    // `serve` answers a request, in the thread of its ring; `left` ends each thread. `running` counts them.
    struct Work {
        std::function<void(Ring &, std::span<char>)> serve;
        std::function<void()> left;
    };
    RingThreads(int device, std::atomic<unsigned> &running, Work work);

    // Everything that can fail, before the kernel hears of it. An Error: stay with /dev/fuse.
    base::Result<> prepare(size_t payload_bytes);
    // After the kernel has the answer to its INIT: it waits for all processors' queues.
    void start();

  private:
    struct Queue {
        std::unique_ptr<Ring> first{};  // until it is started
        std::atomic<unsigned> threads = 0, free = 0;
    };
    void start(std::unique_ptr<Ring> ring);
    void run(Ring &ring);

    int device_;
    std::atomic<unsigned> &running_;
    Work work_;
    size_t payload_bytes_ = 0;
    std::vector<Queue> queues_;
};

}  // namespace unionfs

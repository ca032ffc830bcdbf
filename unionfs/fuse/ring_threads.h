// The threads that serve requests over io_uring: several per processor, bound to it. The kernel gives a request to the thread
// of its processor that became free last. Another one is always ready until there are `most_of_processor`.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "unionfs/fuse/ring.h"

namespace unionfs {

class RingThreads {
  public:
    // `serve` answers a request, in the thread of its ring. `left` runs at the end of each thread. `running` counts the
    // threads.
    struct Work {
        std::function<void(Ring &, std::span<char>)> serve;
        std::function<void()> left;
    };
    RingThreads(int device, std::atomic<unsigned> &running, Work work);

    // Does everything that can fail, before the kernel is told. After an Error, stay with /dev/fuse.
    base::Result<> prepare(size_t payload_bytes);
    // Call this once the kernel has the answer to its INIT. It waits for the queues of all processors.
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

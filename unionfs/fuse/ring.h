// FUSE over io_uring (linux/Documentation/filesystems/fuse-io-uring.rst, Linux 6.14): one entry of a processor's queue, with
// a ring of its own. An answer goes and the next request comes by one system call, on the processor where the client runs.
// Used by one thread at a time.
#pragma once

#include <sys/uio.h>

#include <memory>
#include <span>

#include "mounts/base/error.h"

struct io_uring;

namespace unionfs {

class Ring {
  public:
    // For the requests that are made on `processor`. `payload_bytes`: of the largest request or answer, beside its headers.
    static base::Result<std::unique_ptr<Ring>> make(int device, unsigned processor, size_t payload_bytes);
    ~Ring();
    Ring(const Ring &) = delete;
    Ring &operator=(const Ring &) = delete;

    // Sends the answer to the last request, if there was one, and waits for the next, in the form in which /dev/fuse
    // gives it. Empty: the connection has ended.
    std::span<char> next();
    // Keeps the answer, in the form in which /dev/fuse takes it, for next().
    void answer(const iovec *parts, int count);

    // Where an answer's bytes after its fuse_out_header need no copy. The last part of a request lies there too.
    [[nodiscard]] std::span<char> payload() const { return {payload_, payload_bytes_}; }
    [[nodiscard]] unsigned processor() const { return processor_; }

  private:
    Ring(unsigned processor, size_t payload_bytes);
    int fetch();  // an errno

    struct Headers;
    unsigned processor_;
    size_t payload_bytes_;
    char *memory_ = nullptr;  // of the headers, of room for a request's first parts, and of the payload
    Headers *headers_ = nullptr;
    char *payload_ = nullptr;
    std::unique_ptr<io_uring> ring_;
    iovec places_[2]{};  // of headers and payload; the kernel is told once
    bool registered_ = false;
};

}  // namespace unionfs

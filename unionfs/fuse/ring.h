// FUSE over io_uring (linux/Documentation/filesystems/fuse-io-uring.rst, Linux 6.14): one entry of a processor's queue, with
// its own ring. One system call sends an answer and receives the next request, on the client's processor. Used by one thread at
// a time.
#pragma once

#include <sys/uio.h>

#include <memory>
#include <span>

#include "mounts/base/error.h"

struct io_uring;

namespace unionfs {

class Ring {
  public:
    // Serves requests made on `processor`. `payload_bytes`: size of the largest request or answer without its headers.
    static base::Result<std::unique_ptr<Ring>> make(int device, unsigned processor, size_t payload_bytes);
    ~Ring();
    Ring(const Ring &) = delete;
    Ring &operator=(const Ring &) = delete;

    // Sends the answer to the last request, if there was one, and waits for the next request, which has the format of
    // /dev/fuse. Empty: the connection has ended.
    std::span<char> next();
    // Stores the answer, in the format of /dev/fuse, until next() sends it.
    void answer(const iovec *parts, int count);

    // An answer's bytes after its fuse_out_header need no copy if they are here. The last part of a request is here too.
    [[nodiscard]] std::span<char> payload() const { return {payload_, payload_bytes_}; }
    [[nodiscard]] unsigned processor() const { return processor_; }

  private:
    Ring(unsigned processor, size_t payload_bytes);
    int fetch();  // returns 0 or an errno

    struct Headers;
    unsigned processor_;
    size_t payload_bytes_;
    char *memory_ = nullptr;  // headers, space for a request's first parts, and payload
    Headers *headers_ = nullptr;
    char *payload_ = nullptr;
    std::unique_ptr<io_uring> ring_;
    iovec places_[2]{};  // headers and payload; the kernel is told once
    bool registered_ = false;
};

}  // namespace unionfs

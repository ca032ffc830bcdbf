// The INIT negotiation with the kernel, including what libfuse leaves out of its answer.
#pragma once

#include <sys/uio.h>

#include "unionfs/fuse/operations.h"
#include "unionfs/fuse/ring_threads.h"

namespace unionfs {

// libfuse's callback; `userdata` is the Session.
void negotiate_init(void *userdata, fuse_conn_info *connection);

// Saves the request, because a successor must learn what was negotiated, and the kernel asks only once per connection.
void save_init(Union &fs, const fuse_buf &buffer);

// Offers io_uring in the answer, which libfuse before 3.18 doesn't. The Handover records whether that worked, and why not.
void offer_rings(const Union &fs, RingThreads &rings, const iovec *parts, int count);

}  // namespace unionfs

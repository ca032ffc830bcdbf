// The INIT negotiation with the kernel, including what libfuse leaves out of its answer.
#pragma once

#include <sys/uio.h>

#include "unionfs/fuse/operations.h"
#include "unionfs/fuse/ring_threads.h"

namespace unionfs {

// libfuse's callback; `userdata` is the Session.
void negotiate_init(void *userdata, fuse_conn_info *connection);

// Keeps the request: a successor must learn what was agreed, and the kernel asks once a connection.
void save_init(Union &fs, const fuse_buf &buffer);

// Offers io_uring in the answer, which libfuse before 3.18 doesn't. The Handover says whether it was
// done, and why not.
void offer_rings(const Union &fs, RingThreads &rings, const iovec *parts, int count);

}  // namespace unionfs

// The edge of a request: what it needs and can't get is an error to its caller, not the end of the process. Each of libfuse's
// callbacks stands behind it, so that no exception passes through libfuse.
#pragma once

#include <cerrno>
#include <new>
#include <utility>

#include "unionfs/fuse/operations.h"

namespace unionfs {

// Of this thread's request; the session sets it when an answer goes. After that libfuse's request is gone.
extern thread_local bool answered;

// The callback `operation`, with ENOMEM for a failed allocation.
template <auto operation, class... Arguments>
void guarded(fuse_req_t request, Arguments... arguments) {
    try {
        operation(request, arguments...);
    } catch (const std::bad_alloc &) {
        if (!answered) fuse_reply_err(request, ENOMEM);
    }
}

template <auto operation, class... Arguments>
constexpr void guard(void (*&callback)(fuse_req_t, Arguments...)) {
    callback = guarded<operation, Arguments...>;
}

}  // namespace unionfs

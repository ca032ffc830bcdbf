// The outer edge of a request. If a request runs out of memory, its caller gets an error, and the process goes on. Each of
// libfuse's callbacks is wrapped in this, so that no exception passes through libfuse.
#pragma once

#include <cerrno>
#include <new>
#include <utility>

#include "unionfs/fuse/operations.h"

namespace unionfs {

// Whether this thread's request was answered. The session sets it when it sends an answer; libfuse's request is gone after
// that.
extern thread_local bool answered;

// Calls `operation`. A failed allocation is answered with ENOMEM.
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

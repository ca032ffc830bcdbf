#include "unionfs/fuse/session.h"

#include <poll.h>
#include <sched.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <exception>
#include <numeric>
#include <span>
#include <thread>

#include "unionfs/fuse/guarded.h"
#include "unionfs/fuse/init_negotiation.h"
#include "unionfs/fuse/op_statx.h"
#include "unionfs/fuse/request.h"
#include "unionfs/fuse/ring_threads.h"
#include "unionfs/recovery/handover.h"

namespace unionfs {

using base::fail;
using base::Result;

thread_local bool answered = false;

namespace {

struct Loop {
    Union &fs;
    fuse_session *session;
    int device;
    std::atomic<unsigned> threads = 0;
    std::function<void()> ready;
    RingThreads rings;
    std::atomic<bool> is_ready = false;
};

// Each thread reads and answers on its own descriptor of the connection, because the kernel looks for a request on the
// descriptor where it was read.
thread_local int thread_device = -1;
thread_local bool replaying = false;

// The number of threads that are ready for the next request. A thread that sends an answer counts already: the answer wakes the
// client, which may send its next request before the thread is back.
std::atomic<unsigned> idle = 0;
thread_local bool is_idle = false;

void rest() {
    if (!is_idle) ++idle;
    is_idle = true;
}

ssize_t read_device(int, void *buffer, size_t size, void *) { return ::read(thread_device, buffer, size); }

size_t size_of(const iovec *parts, int count) {
    return std::accumulate(parts, parts + count, size_t{0}, [](size_t n, const iovec &part) { return n + part.iov_len; });
}

// A thread that serves a later request must see what was done before an answer. The kernel guarantees that, but the memory
// model doesn't know about io_uring. This counter tells it.
std::atomic<unsigned> answers = 0;

thread_local Ring *thread_ring = nullptr;  // the ring of this thread's request; null: /dev/fuse

thread_local Loop *greeting = nullptr;  // set if the request is INIT

ssize_t write_device(int, iovec *parts, int count, void *) {
    if (replaying) return static_cast<ssize_t>(size_of(parts, count));  // INIT was answered long ago
    answered = true;
    answers.fetch_add(1, std::memory_order_release);
    if (thread_ring != nullptr) {
        thread_ring->answer(parts, count);
        return static_cast<ssize_t>(size_of(parts, count));
    }
    if (greeting != nullptr) offer_rings(greeting->fs, greeting->rings, parts, count);
    rest();
    // The kernel pins the pages of each part (fuse_copy_fill), which costs more than copying a short answer.
    std::array<char, 256> whole;
    const size_t size = size_of(parts, count);
    if (count == 1 || size > whole.size()) return ::writev(thread_device, parts, count);
    char *end = whole.data();
    for (const iovec &part : std::span(parts, static_cast<size_t>(count)))
        end = std::copy_n(static_cast<const char *>(part.iov_base), part.iov_len, end);
    return ::write(thread_device, whole.data(), size);
}

constexpr unsigned most_threads = 64;
constexpr unsigned most_idle = 3;  // the kernel takes them in turn, which loses warm caches and processor affinity

// Sends libfuse the saved INIT request, so that it learns what was negotiated with the kernel.
void replay_init(Union &fs, fuse_session *session) {
    Handover &handover = handover_of(fs.memory);
    fuse_buf buffer{};
    buffer.mem = handover.init;
    buffer.size = handover.init_size;
    replaying = true;
    fuse_session_process_buf(session, &buffer);
    replaying = false;
}

void start_thread(Loop &loop);

void serve_request(Loop &loop, fuse_buf &buffer) {
    (void)answers.load(std::memory_order_acquire);
    answered = false;
    kill_set_id = wants_kill(buffer);
    loop.fs.journal.begin(unique_of(buffer));
    if (StatxAnswer answer; answer_statx(loop.fs, buffer, answer)) {
        iovec whole{answer.bytes, answer.size};
        (void)write_device(-1, &whole, 1, nullptr);  // the client may be gone
    } else {
        fuse_session_process_buf(loop.session, &buffer);
    }
    loop.fs.journal.end();
}

void run_thread(Loop &loop, bool is_first) {
    (void)::unshare(CLONE_FS);  // for its own umask
    const base::Fd own = clone_device(loop.device);
    thread_device = own ? own.get() : loop.device;
    RequestBuffer memory;
    std::atomic<uint64_t> &largest = handover_of(loop.fs.memory).largest_request;
    while (fuse_session_exited(loop.session) == 0) {
        rest();
        if (idle > most_idle && !is_first) break;
        fuse_buf buffer = memory.ready_for(std::max<size_t>(largest, RequestBuffer::first_bytes));
        const int size = fuse_session_receive_buf(loop.session, &buffer);
        is_idle = false;
        const unsigned left = --idle;
        if (size == -EINTR || size == -EAGAIN) continue;
        if (size <= 0) break;
        if (static_cast<size_t>(size) > largest) largest = static_cast<size_t>(size);
        // A thread must be ready for the next request, however long this one takes.
        if (left == 0 && loop.is_ready) start_thread(loop);
        if (!loop.is_ready) {
            save_init(loop.fs, buffer);
            greeting = &loop;
        }
        serve_request(loop, buffer);
        greeting = nullptr;
        if (!loop.is_ready.exchange(true)) {  // that was INIT
            if (handover_of(loop.fs.memory).over_io_uring) loop.rings.start();
            loop.ready();
            start_thread(loop);
        }
    }
    if (is_idle) --idle;
    free_reply_buffer();
    --loop.threads;
}

void start_thread(Loop &loop) {
    if (loop.threads >= most_threads) return;
    ++loop.threads;
    try {
        std::thread([&loop] { run_thread(loop, false); }).detach();
    } catch (const std::exception &) {
        --loop.threads;  // the other threads go on; the next request tries again
    }
}

void serve_ring(Loop &loop, Ring &ring, std::span<char> request) {
    thread_ring = &ring;
    lend_reply_buffer(ring.payload());
    fuse_buf buffer{};
    buffer.mem = request.data();
    buffer.size = buffer.mem_size = request.size();
    serve_request(loop, buffer);
}

}  // namespace

Result<> serve(Union &fs, const FuseDevice &device, Mode mode, const std::function<void()> &ready) {
    fs.attributes_changed = [&fs, fd = device.fd.get()](const Node &node) { drop_cached_attributes(fd, id_of(fs, node)); };
    Session session{.fs = fs, .mode = mode, .device = device.fd.get(), .processes = device.processes.get()};
    fuse_lowlevel_ops ops{};
    ops.init = negotiate_init;
    add_names(ops);
    add_attributes(ops);
    add_xattrs(ops);
    add_directories(ops);
    add_data(ops);
    add_flags(ops);
    const char *words[] = {"unionfs", "-d", nullptr};
    fuse_args arguments = FUSE_ARGS_INIT(fs.options.debug ? 2 : 1, const_cast<char **>(words));
    fuse_session *handle = fuse_session_new(&arguments, &ops, sizeof ops, &session);
    if (handle == nullptr) return fail(EINVAL, "libfuse", fs.options.mountpoint);
    fuse_custom_io io{};
    io.read = read_device;
    io.writev = write_device;
    if (fuse_session_custom_io(handle, &io, sizeof io, device.fd.get()) != 0) return fail(EINVAL, "libfuse", "custom io");
    Loop loop{.fs = fs,
              .session = handle,
              .device = device.fd.get(),
              .ready = ready,
              .rings{device.fd.get(),
                     loop.threads,
                     {.serve = [&](Ring &ring, std::span<char> request) { serve_ring(loop, ring, request); },
                      .left = free_reply_buffer}}};
    if (handover_of(fs.memory).init_size != 0) {
        replay_init(fs, handle);
        loop.is_ready = true;
    }
    ++loop.threads;
    run_thread(loop, true);
    // The unmount wakes all threads. One in a long copy-up has no client left to answer.
    for (int i = 0; i < 100 && loop.threads != 0; ++i) ::poll(nullptr, 0, 10);
    if (loop.threads != 0) ::_exit(0);
    fuse_session_destroy(handle);
    return {};
}

}  // namespace unionfs

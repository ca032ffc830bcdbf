#include "unionfs/session.h"

#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <thread>
#include <vector>

#include "unionfs/handover.h"
#include "unionfs/op_statx.h"
#include "unionfs/ring_threads.h"

namespace unionfs {

using base::fail;
using base::Result;

namespace {

// Each thread reads from, and answers to, its own descriptor of the connection: the kernel looks for a request's answer
// where it was read.
thread_local int thread_device = -1;
thread_local bool replaying = false;

// How many threads are there for the next request. One that answers counts as such already: the answer wakes the
// client, who may run, and ask again, before the thread is back.
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

// What was done before an answer is seen by whoever serves a request made after it: the kernel sees to that, and this tells
// the memory model, which knows nothing of io_uring.
std::atomic<unsigned> answers = 0;

thread_local Ring *thread_ring = nullptr;  // by which the request came that this thread serves

struct Loop;
thread_local Loop *greeting = nullptr;  // the request is INIT
void offer_rings(Loop &loop, const iovec *parts, int count);

ssize_t write_device(int, iovec *parts, int count, void *) {
    if (replaying) return static_cast<ssize_t>(size_of(parts, count));  // the answer to an INIT that was answered long ago
    answers.fetch_add(1, std::memory_order_release);
    if (thread_ring != nullptr) {
        thread_ring->answer(parts, count);
        return static_cast<ssize_t>(size_of(parts, count));
    }
    if (greeting != nullptr) offer_rings(*greeting, parts, count);
    rest();
    return ::writev(thread_device, parts, count);
}

// Where libfuse's callbacks don't get to see.
bool wants_kill(const fuse_buf &buffer) {
    const char *bytes = static_cast<const char *>(buffer.mem);
    fuse_in_header header{};
    uint32_t flags = 0;
    if (buffer.size < sizeof header + sizeof(fuse_write_in)) return false;
    std::memcpy(&header, bytes, sizeof header);
    bytes += sizeof header;
    if (header.opcode == FUSE_WRITE) {
        std::memcpy(&flags, bytes + offsetof(fuse_write_in, write_flags), sizeof flags);
        return (flags & FUSE_WRITE_KILL_SUIDGID) != 0;
    }
    if (header.opcode != FUSE_SETATTR) return false;
    std::memcpy(&flags, bytes + offsetof(fuse_setattr_in, valid), sizeof flags);
    return (flags & FATTR_KILL_SUIDGID) != 0;
}

void init(void *userdata, fuse_conn_info *connection) {
    auto &session = *static_cast<Session *>(userdata);
    const auto want = [&](uint64_t feature) {
        return (connection->capable_ext & feature) != 0 && fuse_set_feature_flag(connection, feature);
    };
    want(FUSE_CAP_PARALLEL_DIROPS);
    want(FUSE_CAP_CACHE_SYMLINKS);
    want(FUSE_CAP_HANDLE_KILLPRIV_V2);
    want(FUSE_CAP_NO_OPENDIR_SUPPORT);
    want(FUSE_CAP_READDIRPLUS);
    if (want(FUSE_CAP_POSIX_ACL)) want(FUSE_CAP_DONT_MASK);
    // O_TRUNC comes as a setattr: an open that is never sent can't carry it.
    fuse_unset_feature_flag(connection, FUSE_CAP_ATOMIC_O_TRUNC);
    // Pages stay good until we say otherwise, and we never do.
    fuse_unset_feature_flag(connection, FUSE_CAP_AUTO_INVAL_DATA);
    connection->no_interrupt = 1;
    connection->max_background = 64;
    if (session.mode == Mode::store) {
        session.no_open = (connection->capable_ext & FUSE_CAP_NO_OPEN_SUPPORT) != 0;
    } else if (want(FUSE_CAP_PASSTHROUGH)) {
        session.passthrough = true;
        connection->max_backing_stack_depth = 1;  // layers on overlayfs or FUSE are taken too
    }
}

struct Loop {
    Union &fs;
    fuse_session *session;
    int device;
    std::atomic<unsigned> threads = 0;
    std::function<void()> ready;
    RingThreads rings;
    std::atomic<bool> is_ready = false;
};

// Answers INIT that requests may come over io_uring, which libfuse before 3.18 doesn't.
void offer_rings(Loop &loop, const iovec *parts, int count) {
    Handover &handover = handover_of(loop.fs.memory);
    if (!loop.fs.options.io_uring || !handover.kernel_has_io_uring()) return;
    if (count < 2 || parts[1].iov_len < offsetof(fuse_init_out, flags2) + sizeof(uint32_t)) return;  // an error
    auto &answer = *static_cast<fuse_init_out *>(parts[1].iov_base);
    const size_t pages_bytes = answer.max_pages * static_cast<size_t>(::getpagesize());
    if (const auto prepared = loop.rings.prepare(std::max<size_t>({answer.max_write, pages_bytes, 8192})); !prepared) {
        handover.io_uring_error = prepared.error().code;
        return;
    }
    constexpr unsigned over_io_uring = 41;
    answer.flags2 |= 1U << (over_io_uring - 32);
    handover.over_io_uring = true;
}

constexpr unsigned most_threads = 64;
constexpr unsigned most_idle = 3;  // the kernel takes them in turn, which costs warm caches and the processor they ran on

uint64_t unique_of(const fuse_buf &buffer) {
    fuse_in_header header{};
    if (buffer.size >= sizeof header) std::memcpy(&header, buffer.mem, sizeof header);
    return header.unique;
}

void save_init(Union &fs, const fuse_buf &buffer) {
    Handover &handover = handover_of(fs.memory);
    if (buffer.size > sizeof handover.init) return;  // a successor is not possible then
    std::memcpy(handover.init, buffer.mem, buffer.size);
    handover.init_size = static_cast<uint32_t>(buffer.size);
}

// libfuse learns what was agreed with the kernel from the request of that time.
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

// What a thread reads requests into. A page of it that is not there yet when the process is killed in the middle of a read
// costs the client an EIO: the kernel can't fault it in for a dying thread. So it is there as far as requests reach.
class Buffer {
  public:
    Buffer() : mem_(::mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
    ~Buffer() { ::munmap(mem_, room); }
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;

    fuse_buf ready_for(size_t bytes) {
        if (bytes > resident_) (void)::madvise(mem_, bytes, populate_write);
        resident_ = std::max(resident_, bytes);
        fuse_buf buffer{};
        buffer.mem = mem_;
        buffer.mem_size = room;
        return buffer;
    }
    static constexpr size_t first_bytes = size_t{136} << 10;  // a write of 128 KiB, as cp(1) makes them

  private:
    static constexpr int populate_write = 23;        // MADV_POPULATE_WRITE, linux/mman.h of 5.14
    static constexpr size_t room = size_t{2} << 20;  // more than libfuse's largest request of 1 MiB and its header
    void *mem_;
    size_t resident_ = 0;
};

void serve_request(Loop &loop, fuse_buf &buffer) {
    (void)answers.load(std::memory_order_acquire);
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
    (void)::unshare(CLONE_FS);  // a umask of its own
    const base::Fd own = clone_device(loop.device);
    thread_device = own ? own.get() : loop.device;
    Buffer memory;
    std::atomic<uint64_t> &largest = handover_of(loop.fs.memory).largest_request;
    while (fuse_session_exited(loop.session) == 0) {
        rest();
        if (idle > most_idle && !is_first) break;
        fuse_buf buffer = memory.ready_for(std::max<size_t>(largest, Buffer::first_bytes));
        const int size = fuse_session_receive_buf(loop.session, &buffer);
        is_idle = false;
        const unsigned left = --idle;
        if (size == -EINTR || size == -EAGAIN) continue;
        if (size <= 0) break;
        if (static_cast<size_t>(size) > largest) largest = static_cast<size_t>(size);
        // Somebody must be there for the next request, however long this one takes.
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
    std::thread([&loop] { run_thread(loop, false); }).detach();
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

Result<> serve(Union &fs, const Device &device, Mode mode, const std::function<void()> &ready) {
    fs.device = device.fd.get();
    Session session{.fs = fs, .mode = mode, .device = device.fd.get()};
    fuse_lowlevel_ops ops{};
    ops.init = init;
    add_names(ops);
    add_attributes(ops);
    add_xattrs(ops);
    add_folders(ops);
    add_data(ops);
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
    // The unmount wakes all; one in a long copy-up has nobody left to answer to.
    for (int i = 0; i < 100 && loop.threads != 0; ++i) ::poll(nullptr, 0, 10);
    if (loop.threads != 0) ::_exit(0);
    fuse_session_destroy(handle);
    return {};
}

}  // namespace unionfs

// Reads of data that another descriptor writes past the page cache.
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <catch_amalgamated.hpp>
#include <cstring>
#include <fstream>
#include <thread>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"

using base::Fd;
using parity::Mounted;

namespace {

constexpr size_t size = size_t{1} << 20;

// Writes a whole file by io_submit(2) and waits for completion. Returns the number of bytes.
long write_asynchronously(aio_context_t context, int fd, const char *buffer) {
    iocb request{};
    iocb *const requests[] = {&request};
    io_event event{};
    request.aio_lio_opcode = IOCB_CMD_PWRITE;
    request.aio_fildes = static_cast<uint32_t>(fd);
    request.aio_buf = reinterpret_cast<uint64_t>(buffer);
    request.aio_nbytes = size;
    if (::syscall(SYS_io_submit, context, 1, requests) != 1) return -1;
    if (::syscall(SYS_io_getevents, context, 1, 1, &event, nullptr) != 1) return -1;
    return event.res;
}

}  // namespace

// Same as xfstests generic/451.
TEST_CASE("what an asynchronous direct write has written is read, whoever read it while it went on") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    Mounted stack(mode);
    std::ofstream(stack.lower() / "file") << std::string(size, 'l');
    stack.mount();
    const std::string path = stack.root() / "file";
    Fd direct(::open(path.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC)), buffered(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(direct);
    aio_context_t context = 0;
    REQUIRE(::syscall(SYS_io_setup, 4, &context) == 0);
    char *const buffer = static_cast<char *>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::atomic<bool> done = false;
    std::thread reader([&] {
        std::string page(4096, '\0');
        while (!done)
            for (size_t at = 0; at < size; at += 16 * page.size())
                (void)!::pread(buffered.get(), page.data(), page.size(), static_cast<off_t>(at));
    });
    size_t stale = 0, failed = 0;
    std::string text(size, '\0');
    for (int round = 0; round < 150; ++round) {
        std::memset(buffer, 'a' + round % 26, size);
        if (write_asynchronously(context, direct.get(), buffer) != static_cast<long>(size)) ++failed;
        const ssize_t n = ::pread(buffered.get(), text.data(), size, 0);
        if (n != static_cast<ssize_t>(size) || std::memcmp(text.data(), buffer, size) != 0) ++stale;
    }
    done = true;
    reader.join();
    CHECK(failed == 0);
    CHECK(stale == 0);
    ::munmap(buffer, size);
    direct.reset();
    buffered.reset();
    ::syscall(SYS_io_destroy, context);
    CHECK(stack.unmount() == 0);
}

// What stage 1 asks of the kernel before anything else in a restored machine, observed from outside with ptrace(2). Random bytes
// that differ prove little: the kernel mixes in the times of interrupts, which differ too.
#include <fcntl.h>
#include <linux/random.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <format>
#include <string>
#include <vector>

#include "mounts/exec/fork_news.h"
#include "stage1/steps/fork.h"

namespace {

struct Asked {
    unsigned long request;
    std::string device;
    std::string bytes;  // what RNDADDENTROPY was given
    int bits = 0;
    bool succeeded = false;
};

std::string memory_of(pid_t pid, unsigned long address, size_t size) {
    std::string bytes(size, '\0');
    const iovec here{bytes.data(), size}, there{reinterpret_cast<void *>(address), size};
    bytes.resize(static_cast<size_t>(std::max<ssize_t>(0, ::process_vm_readv(pid, &here, 1, &there, 1, 0))));
    return bytes;
}

Asked asked_of(pid_t pid, const user_regs_struct &registers) {
    Asked asked{.request = registers.rsi, .device = {}, .bytes = {}};
    std::error_code error;
    asked.device = std::filesystem::read_symlink(std::format("/proc/{}/fd/{}", pid, registers.rdi), error);
    if (asked.request != RNDADDENTROPY) return asked;
    std::array<int, 2> head{};
    const std::string pool = memory_of(pid, registers.rdx, sizeof head);
    if (pool.size() == sizeof head) std::memcpy(head.data(), pool.data(), sizeof head);
    asked.bits = head[0];
    asked.bytes = memory_of(pid, registers.rdx + sizeof head, static_cast<size_t>(head[1]));
    return asked;
}

// The ioctls of a process that becomes a fork, until it would change the clock, which is this host's: it is ended there.
std::vector<Asked> asked_while_becoming(const std::string &news) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGSTOP);
        (void)stage1::become_fork(news);
        ::_exit(0);
    }
    std::vector<Asked> all;
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    ::ptrace(PTRACE_SETOPTIONS, pid, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    bool enters = true;
    while (::ptrace(PTRACE_SYSCALL, pid, nullptr, nullptr) == 0 && ::waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) continue;
        user_regs_struct registers{};
        ::ptrace(PTRACE_GETREGS, pid, nullptr, &registers);
        const auto number = static_cast<long>(registers.orig_rax);
        if (number == SYS_clock_settime || number == SYS_sethostname || number == SYS_mount) break;
        if (number == SYS_ioctl && enters) all.push_back(asked_of(pid, registers));
        if (number == SYS_ioctl && !enters) all.back().succeeded = registers.rax == 0;
        enters = !enters;
    }
    ::kill(pid, SIGKILL);
    (void)::waitpid(pid, &status, 0);
    return all;
}

}  // namespace

TEST_CASE("a fork's kernel gets the launcher's random bytes, credited, and uses them at once, before anything else is changed") {
    const std::string entropy = "only this fork has these thirty-2";
    const std::string news = mounts::exec::fork_news_text({.time_ns = 1'700'000'000'000'000'000,
                                                           .entropy = entropy,
                                                           .machine_id = std::string(32, 'a'),
                                                           .boot_id = "01234567-89ab-4def-8123-456789abcdef",
                                                           .host_name = {}});
    const auto asked = asked_while_becoming(news);
    REQUIRE_FALSE(asked.empty());
    CHECK(asked[0].request == RNDADDENTROPY);
    CHECK(asked[0].device == "/dev/urandom");
    CHECK(asked[0].bytes == entropy);
    CHECK(asked[0].bits == static_cast<int>(8 * entropy.size()));
    if (!asked[0].succeeded) SKIP("adding entropy is not allowed here");
    REQUIRE(asked.size() == 2);
    CHECK(asked[1].request == RNDRESEEDCRNG);
    CHECK(asked[1].device == "/dev/urandom");
    CHECK(asked[1].succeeded);
}

#include "tests/parity/cut.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <cstddef>

namespace parity {

namespace {

constexpr int setxattrat_call = 463, removexattrat_call = 466;  // Linux 6.13

constexpr std::array calls{SYS_renameat,       SYS_renameat2,       SYS_unlinkat,    SYS_mkdirat,   SYS_mknodat,
                           SYS_linkat,         SYS_symlinkat,       SYS_ftruncate,   SYS_fallocate, SYS_pwrite64,
                           SYS_fchmod,         SYS_fchmodat,        SYS_fchownat,    SYS_utimensat, SYS_setxattr,
                           SYS_fsetxattr,      SYS_lsetxattr,       SYS_removexattr, SYS_sendfile,  setxattrat_call,
                           removexattrat_call, SYS_copy_file_range, SYS_fsync,       SYS_fdatasync};

// A seccomp filter that notifies of each of `calls`, and of openat with O_CREAT.
std::vector<sock_filter> filter() {
    std::vector<sock_filter> code;
    code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    for (const long call : calls) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1));
        code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
    }
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 1, 0));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])));
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT, 0, 1));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    return code;
}

[[noreturn]] void become(const std::vector<std::string> &argv, int tell) {
    std::vector<sock_filter> code = filter();
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    const int listener =
        static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
    char taken = 0;  // execv closes the listener, so wait until the test has it
    if (::write(tell, &listener, sizeof listener) < 0 || ::read(tell, &taken, 1) != 1) ::_exit(126);
    std::vector<char *> words;
    for (const std::string &word : argv) words.push_back(const_cast<char *>(word.c_str()));
    words.push_back(nullptr);
    ::execv(words.front(), words.data());
    ::_exit(127);
}

}  // namespace

Cutter::Cutter(const std::vector<std::string> &argv, AtCall at_call) : at_call_(std::move(at_call)) {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const base::Fd ours(ends[0]), its(ends[1]);
    pid_ = ::fork();
    if (pid_ == 0) become(argv, its.get());
    int theirs = -1;
    REQUIRE(::read(ours.get(), &theirs, sizeof theirs) == sizeof theirs);
    REQUIRE(theirs >= 0);
    const base::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    listener_.reset(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), theirs, 0)));
    REQUIRE(listener_.valid());
    REQUIRE(::write(ours.get(), "t", 1) == 1);
    thread_ = std::thread([this] { serve(); });
}

Cutter::~Cutter() {
    if (pid_ > 0) {
        ::kill(pid_, SIGTERM);  // the test failed, and nobody will unmount the union
        wait();
    }
    thread_.join();
}

int Cutter::wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void Cutter::serve() {
    for (;;) {
        pollfd wanted{listener_.get(), POLLIN, 0};
        if (::poll(&wanted, 1, -1) < 0 || (wanted.revents & POLLIN) == 0) return;  // the process has ended
        seccomp_notif notice{};
        if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, &notice) != 0) continue;
        if (armed_) at_call_(notice.data.nr);
        seccomp_notif_resp answer{.id = notice.id, .val = 0, .error = 0, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        (void)::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer);  // it may have been killed
    }
}

bool is_sync(int call) { return call == SYS_fsync || call == SYS_fdatasync; }

}  // namespace parity

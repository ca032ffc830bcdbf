#include "tests/support/pid_one.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace support {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void give_up(const char *what) { throw std::system_error(errno, std::generic_category(), what); }

pid_t fork_into_namespace() {
    return static_cast<pid_t>(::syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

[[noreturn]] void become_init(const std::string &root, const std::string &console, uint64_t memory_bytes) {
    const bool ready = ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                       ::mount(console.c_str(), (root + "/dev/console").c_str(), nullptr, MS_BIND, nullptr) == 0 &&
                       ::chroot(root.c_str()) == 0 && ::chdir("/") == 0;
    if (ready && memory_bytes > 0) {
        const rlimit limit{memory_bytes, memory_bytes};
        (void)::setrlimit(RLIMIT_AS, &limit);
    }
    if (ready) ::execl("/init", "/init", nullptr);
    ::_exit(127);
}

}  // namespace

PidOne::PidOne(const std::string &program, uint64_t memory_bytes) {
    fs::copy_file(program, root_.path("init"));
    for (const char *directory : {"dev", "sys", "run"}) fs::create_directory(root_.path(directory));
    for (const char *file : {"proc", "dev/console"}) std::ofstream(root_.path(file)).flush();
    pid_ = fork_into_namespace();
    if (pid_ < 0) give_up("clone");
    if (pid_ == 0) {
        for (const int standard : {0, 1, 2}) (void)::dup2(terminal_.program_side(), standard);
        become_init(root_.path(), terminal_.path(), memory_bytes);
    }
}

PidOne::~PidOne() {
    if (!alive()) return;
    (void)::kill(pid_, SIGKILL);  // ends its whole namespace
    (void)::waitpid(pid_, nullptr, 0);
}

std::string PidOne::wait_for(const std::string &text) {
    constexpr int timeout_s = 30;
    (void)terminal_.wait_for(text, timeout_s, [this] { return !alive(); });
    return terminal_.said();
}

void PidOne::send(int signal) const { (void)::kill(pid_, signal); }

bool PidOne::alive() const {
    if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
    return pid_ > 0;
}

base::Fd PidOne::leave_an_orphan() const {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) give_up("pipe");
    const base::Fd read_end(ends[0]);
    base::Fd release(ends[1]);
    const pid_t helper = ::fork();
    if (helper == 0) {
        release.reset();
        const auto space = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
        if (::setns(space, CLONE_NEWPID) != 0) ::_exit(1);
        const pid_t parent = ::fork();
        if (parent > 0) ::_exit(::waitpid(parent, nullptr, 0) == parent ? 0 : 1);
        if (::fork() == 0) {
            char byte = 0;
            (void)!::read(read_end.get(), &byte, 1);
        }
        ::_exit(0);
    }
    int status = 0;
    if (helper < 0 || ::waitpid(helper, &status, 0) != helper || status != 0) give_up("leave an orphan");
    return release;
}

size_t PidOne::children() const {
    size_t count = 0;
    for (const auto &entry : fs::directory_iterator("/proc")) {
        std::ifstream file(entry.path() / "stat");
        std::string line;
        if (!std::getline(file, line)) continue;
        // PID (COMM) STATE PPID: comm may contain blanks and parentheses (proc(5)).
        const char *after = line.c_str() + line.rfind(')');
        if (line.contains(')') && std::atoi(after + 3) == pid_) ++count;
    }
    return count;
}

std::string pid_namespaces_missing() {
    if (::geteuid() != 0) return "a PID namespace needs root";
    const pid_t pid = fork_into_namespace();
    if (pid == 0) ::_exit(0);
    if (pid < 0) return std::string("no PID namespace can be had here: ") + std::generic_category().message(errno);
    (void)::waitpid(pid, nullptr, 0);
    return {};
}

}  // namespace support

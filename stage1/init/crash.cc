#include "stage1/init/crash.h"

#include <fcntl.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <initializer_list>

#include "mounts/base/log.h"
#include "stage1/base/boot_input.h"
#include "stage1/init/rescue.h"

namespace stage1 {

namespace {

// The only data that a signal handler may read.
std::array<char, 256> step_text{};
volatile sig_atomic_t is_second_life = 0;
std::array<char, 16384> signal_stack;  // an overflowed stack has no room for the handler

// Concatenates into a buffer and truncates. For signal handlers, which must not use std::string.
template <size_t Size>
void join(std::array<char, Size> &out, std::initializer_list<const char *> parts) noexcept {
    size_t length = 0;
    for (const char *part : parts)
        for (; *part != '\0' && length + 1 < Size; ++part) out[length++] = *part;
    out[length] = '\0';
}

void say_everywhere(const char *text) noexcept {
    for (const char *path : {"/dev/kmsg", "/dev/console"}) {
        const int fd = ::open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0) continue;
        (void)!::write(fd, text, std::strlen(text));
        ::close(fd);
    }
}

[[noreturn]] void stay(const char *what) noexcept {
    std::array<char, 512> text;
    join(text, {"stage1: it failed again while reporting a failure: ", what, "\n"});
    say_everywhere(text.data());
    std::array<char, 4096> line{};
    const int fd = ::open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && ::read(fd, line.data(), line.size() - 1) > 0 &&
        (std::strstr(line.data(), "boot.panic_on_fail") != nullptr || std::strstr(line.data(), "stage1panic=1") != nullptr))
        panic();
    for (;;) ::pause();
}

void on_crash(int signal) noexcept {
    if (::getpid() != 1) {  // a child before its exec
        (void)::signal(signal, SIG_DFL);
        (void)::raise(signal);
        return;
    }
    const char *name = ::strsignal(signal);  // musl's reads a table
    start_anew(name != nullptr ? name : "a signal");
}

}  // namespace

void catch_crashes() {
    const stack_t stack{.ss_sp = signal_stack.data(), .ss_flags = 0, .ss_size = signal_stack.size()};
    (void)::sigaltstack(&stack, nullptr);
    struct sigaction action{};
    action.sa_handler = on_crash;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT})
        (void)::sigaction(signal, &action, nullptr);
}

void note_step(std::string_view text) noexcept {
    const size_t length = std::min(text.size(), step_text.size() - 1);
    std::copy_n(text.begin(), length, step_text.begin());
    step_text[length] = '\0';
}

void start_anew(const char *what) noexcept {
    if (is_second_life != 0) stay(what);
    std::array<char, 512> text;
    join(text, {what, step_text[0] != '\0' ? ", during: " : "", step_text.data()});
    // A signal mask survives exec, and a handler runs with its own signal blocked.
    sigset_t none;
    sigemptyset(&none);
    (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
    const auto *started_as = reinterpret_cast<const char *>(::getauxval(AT_EXECFN));
    for (const char *path : {"/proc/self/exe", started_as != nullptr ? started_as : "/init", "/init"})
        ::execl(path, "stage1", crashed_word.data(), text.data(), nullptr);
    stay(text.data());
}

void crashed(const char *what) {
    is_second_life = 1;
    (void)base::log_to_kmsg();  // without it, stderr is the console
    const mounts::BootParameters policy = failure_policy();
    for (;;) (void)fail_boot({"a bug in stage1, please report it", "", 0, what}, policy);
}

}  // namespace stage1

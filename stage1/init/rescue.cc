#include "stage1/init/rescue.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <format>

#include "mounts/base/at.h"
#include "mounts/base/log.h"
#include "stage1/base/status_port.h"

namespace stage1 {

namespace {

// The last console= of the command line is /dev/console, but a controlling terminal must be the device itself.
base::Fd open_console(const mounts::BootParameters &parameters) {
    std::string name = "console";
    if (!parameters.consoles.empty()) name = parameters.consoles.back().substr(0, parameters.consoles.back().find(','));
    auto fd = base::open_at(AT_FDCWD, "/dev/" + name, O_RDWR | O_NOCTTY);
    if (!fd) fd = base::open_at(AT_FDCWD, "/dev/console", O_RDWR | O_NOCTTY);
    return fd ? std::move(*fd) : base::Fd();
}

void say(int console, std::string_view text) { (void)base::write_all(console, text, "console"); }

// The console as the terminal of this process and what it starts, for a shell that can be interrupted.
void take_console(int console) {
    (void)::setsid();
    (void)::ioctl(console, TIOCSCTTY, 1);
    for (const int standard : {0, 1, 2}) (void)::dup2(console, standard);
}

// Runs the initrd's shell on the console in a session of its own and waits for its end. That hangs the terminal up: whoever
// has it open must open it anew.
bool run_shell(int console) {
    const char *shell = nullptr;
    for (const char *path : {"/bin/ash", "/bin/sh", "/bin/bash"})
        if (shell == nullptr && ::access(path, X_OK) == 0) shell = path;
    if (shell == nullptr) {
        say(console, "This initrd has no shell (/bin/sh).\n");
        return false;
    }
    const pid_t pid = ::fork();
    if (pid == 0) {
        take_console(console);
        (void)::setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
        ::execl(shell, shell, "-i", nullptr);
        ::_exit(127);
    }
    int status = 0;
    // Others' orphans end up here too: PID 1 reaps whatever it is given.
    for (pid_t ended = 0; pid > 0 && ended != pid;) {
        ended = ::waitpid(-1, &status, 0);
        if (ended < 0 && errno != EINTR) break;
    }
    return true;
}

// Waits until the console can be read; what others leave to PID 1 meanwhile is reaped.
void await_input(int console) {
    constexpr int look_again_ms = 1000;
    pollfd poll{console, POLLIN, 0};
    while (::poll(&poll, 1, look_again_ms) <= 0)
        while (::waitpid(-1, nullptr, WNOHANG) > 0) {
        }
}

// One key, without the return key where the console is a terminal. 0: the console is gone.
char read_key(int console) {
    termios saved{};
    const bool terminal = ::tcgetattr(console, &saved) == 0;
    if (terminal) {
        termios raw = saved;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON);
        (void)::tcsetattr(console, TCSANOW, &raw);
    }
    char key = 0;
    ssize_t n = 0;
    if (console >= 0) await_input(console);
    do n = ::read(console, &key, 1);
    while (n < 0 && errno == EINTR);
    if (terminal) (void)::tcsetattr(console, TCSANOW, &saved);
    return n == 1 ? key : '\0';
}

[[noreturn]] void restart() {
    ::sync();
    (void)::reboot(RB_AUTOBOOT);
    for (;;) ::pause();
}

void menu(const mounts::BootParameters &parameters) {
    for (;;) {
        const base::Fd terminal = open_console(parameters);
        const int console = terminal.get();
        say(console, "\nAn error occurred in stage 1 of the boot process. Press one of the following keys:\n\n");
        if (parameters.shell_on_fail)
            say(console, "  i) to launch an interactive shell\n  f) to start an interactive shell having pid 1\n");
        say(console, "  r) to reboot immediately\n  *) to ignore the error and continue\n");
        const char key = read_key(console);
        if (key == '\0') {
            // Nobody can ever answer: stay, for the message is on the screen and an exit would be a panic.
            for (;;) ::pause();
        }
        if (key == 'r') restart();
        if (key == 'i' && parameters.shell_on_fail) {
            (void)run_shell(console);
            continue;
        }
        if (key == 'f' && parameters.shell_on_fail) {
            take_console(console);
            ::execl("/bin/sh", "sh", nullptr);
            say(console, "This initrd has no shell (/bin/sh).\n");
            continue;
        }
        if (key == '\n' || key == '\r') continue;
        say(console, "Continuing...\n");
        return;
    }
}

}  // namespace

void panic() {
    ::sync();
    // The last words must be out before the machine stops: tcdrain waits for the UART (nixpkgs #61007).
    if (auto console = base::open_at(AT_FDCWD, "/dev/console", O_RDWR | O_NOCTTY)) (void)::tcdrain(console->get());
    if (auto trigger = base::open_at(AT_FDCWD, "/proc/sysrq-trigger", O_WRONLY))
        (void)base::write_all(trigger->get(), "c", "sysrq");
    (void)::reboot(RB_AUTOBOOT);
    for (;;) ::pause();
}

void fail_boot(const base::Error &error, const mounts::BootParameters &parameters) {
    const std::string text = message(error);
    base::log(error);
    const base::Fd console = open_console(parameters);
    // `quiet` keeps kmsg off the console: the person must see it all the same.
    say(console.get(), std::format("\nstage1: the boot failed: {}\n", text));
    (void)::tcdrain(console.get());
    (void)tell_host("stage1-failed " + text);
    if (parameters.panic_on_fail) panic();
    menu(parameters);
}

void stop_at(const std::string &where, const mounts::BootParameters &parameters) {
    const base::Fd console = open_console(parameters);
    say(console.get(), std::format("\nstage1: stopped before {}; the boot goes on when this shell ends.\n", where));
    (void)run_shell(console.get());
}

}  // namespace stage1

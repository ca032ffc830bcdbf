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
#include <functional>
#include <optional>

#include "mounts/base/at.h"
#include "mounts/base/log.h"
#include "stage1/base/tell_host.h"

namespace stage1 {

namespace {

// The last console= is /dev/console, but a controlling terminal must be the device itself.
base::Fd open_console(const mounts::BootParameters &parameters) {
    std::string name = "console";
    if (!parameters.consoles.empty()) name = parameters.consoles.back().substr(0, parameters.consoles.back().find(','));
    auto fd = base::open_at(AT_FDCWD, "/dev/" + name, O_RDWR | O_NOCTTY);
    if (!fd) fd = base::open_at(AT_FDCWD, "/dev/console", O_RDWR | O_NOCTTY);
    return fd ? std::move(*fd) : base::Fd();
}

void say(int console, std::string_view text) { (void)base::write_all(console, text, "console"); }

// Makes the console the controlling terminal of this process and its children, so that a shell can be interrupted.
void take_console(int console) {
    (void)::setsid();
    (void)::ioctl(console, TIOCSCTTY, 1);
    for (const int standard : {0, 1, 2}) (void)::dup2(console, standard);
}

const char *shell_of_initrd() {
    for (const char *path : {"/bin/ash", "/bin/sh", "/bin/bash"})
        if (::access(path, X_OK) == 0) return path;
    return nullptr;
}

int become_shell(const char *shell) {
    (void)::setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
    ::execl(shell, shell, "-i", nullptr);
    return 127;
}

// Runs `job` on the console in its own session, waits for it and returns its wait status. When the session ends, the terminal
// hangs up, so the caller must open it again.
int run_on_console(int console, const std::function<int()> &job) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        take_console(console);
        ::_exit(job());
    }
    int status = 0;
    // PID 1 reaps other processes' orphans too.
    for (pid_t ended = 0; pid > 0 && ended != pid;) {
        ended = ::waitpid(-1, &status, 0);
        if (ended < 0 && errno != EINTR) break;
    }
    return status;
}

[[noreturn]] void restart() {
    ::sync();
    (void)::reboot(RB_AUTOBOOT);
    for (;;) ::pause();
}

// Runs the initrd's shell, or the built-in prompt if it has none. Nothing: the prompt itself failed and has no answer.
std::optional<Answer> run_shell(int console, const Scene &scene) {
    if (const char *shell = shell_of_initrd()) {
        (void)run_on_console(console, [shell] { return become_shell(shell); });
        return Answer::go_on;
    }
    const int status = run_on_console(console, [&] { return static_cast<int>(prompt(STDIN_FILENO, scene)); });
    if (!WIFEXITED(status) || WEXITSTATUS(status) > static_cast<int>(Answer::reboot)) return std::nullopt;
    const auto answer = static_cast<Answer>(WEXITSTATUS(status));
    if (answer == Answer::reboot) restart();
    return answer;
}

// Waits until the console has input. Reaps orphans while it waits.
void await_input(int console) {
    constexpr int look_again_ms = 1000;
    pollfd poll{console, POLLIN, 0};
    while (::poll(&poll, 1, look_again_ms) <= 0)
        while (::waitpid(-1, nullptr, WNOHANG) > 0) {
        }
}

// Reads one key, without Enter if the console is a terminal. 0: the console is gone.
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

void say_menu(int console, const mounts::BootParameters &parameters, const Scene &scene) {
    say(console, "\nAn error occurred in stage 1 of the boot process. Press one of the following keys:\n\n");
    if (parameters.shell_on_fail && shell_of_initrd() != nullptr)
        say(console, "  i) to launch an interactive shell\n  f) to start an interactive shell having pid 1\n");
    else if (parameters.shell_on_fail)
        say(console, "  i) to launch stage 1's own prompt, because this initrd has no shell\n");
    if (scene.has_failed) say(console, "  t) to try the failed step again\n");
    say(console, "  r) to reboot immediately\n  *) to ignore the error and continue\n");
}

Answer menu(const mounts::BootParameters &parameters, const Scene &scene) {
    for (;;) {
        const base::Fd terminal = open_console(parameters);
        const int console = terminal.get();
        say_menu(console, parameters, scene);
        const char key = read_key(console);
        if (key == '\0') {
            // Nobody can ever answer. Wait forever: the message is on the screen, and an exit would be a panic.
            for (;;) ::pause();
        }
        if (key == 'r') restart();
        if (key == 'i' && parameters.shell_on_fail) {
            const bool own = shell_of_initrd() == nullptr;
            const auto answer = run_shell(console, scene);
            if (own && answer) return *answer;
            continue;
        }
        if (key == 'f' && parameters.shell_on_fail && shell_of_initrd() != nullptr) {
            take_console(console);
            ::execl("/bin/sh", "sh", nullptr);
            say(console, "This initrd has no shell (/bin/sh).\n");
            continue;
        }
        if (key == '\n' || key == '\r') continue;
        if (key == 't' && scene.has_failed) return Answer::retry;
        say(console, "Continuing...\n");
        return Answer::go_on;
    }
}

}  // namespace

void panic() {
    ::sync();
    // The last message must be out before the machine stops: tcdrain waits for the UART (nixpkgs #61007).
    if (auto console = base::open_at(AT_FDCWD, "/dev/console", O_RDWR | O_NOCTTY)) (void)::tcdrain(console->get());
    if (auto trigger = base::open_at(AT_FDCWD, "/proc/sysrq-trigger", O_WRONLY))
        (void)base::write_all(trigger->get(), "c", "sysrq");
    (void)::reboot(RB_AUTOBOOT);
    for (;;) ::pause();
}

Answer fail_boot(const base::Error &error, const mounts::BootParameters &parameters, const Scene &scene) {
    const std::string text = message(error);
    base::log(error);
    const base::Fd console = open_console(parameters);
    // `quiet` keeps kmsg off the console, but the person must see this message.
    say(console.get(), std::format("\nstage1: the boot failed: {}\n", text));
    (void)::tcdrain(console.get());
    (void)tell_host("stage1-failed " + text);
    if (parameters.panic_on_fail) panic();
    return menu(parameters, scene);
}

int shell_aside(Scene scene) {
    if (const char *shell = shell_of_initrd()) return become_shell(shell);
    scene.aside = true;
    if (prompt(STDIN_FILENO, scene) == Answer::reboot) restart();
    return 0;
}

Answer stop_at(const std::string &where, const mounts::BootParameters &parameters, const Scene &scene) {
    const base::Fd console = open_console(parameters);
    say(console.get(),
        shell_of_initrd() != nullptr
            ? std::format("\nstage1: stopped before {}; the boot goes on when this shell ends.\n", where)
            : std::format("\nstage1: stopped before {}; 'continue' continues the boot, 'help' lists commands.\n", where));
    return run_shell(console.get(), scene).value_or(Answer::go_on);
}

}  // namespace stage1

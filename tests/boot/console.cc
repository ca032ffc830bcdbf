#include "tests/boot/console.h"

#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <csignal>
#include <utility>

#include "mounts/base/process.h"

namespace boot_test {

Console::Console(Machine &machine, const Setup &setup) : machine_(machine), words_(machine.words(setup)) {
    std::vector<char *> argv;
    for (const std::string &word : words_) argv.push_back(const_cast<char *>(word.c_str()));
    argv.push_back(nullptr);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ > 0) return;
    (void)::setsid();
    (void)::ioctl(terminal_.program_side(), TIOCSCTTY, 0);
    for (const int standard : {0, 1, 2}) (void)::dup2(terminal_.program_side(), standard);
    ::execv(argv[0], argv.data());
    ::_exit(127);
}

Console::~Console() {
    if (ended()) return;
    (void)::kill(pid_, SIGTERM);  // runvm ends its QEMU
    (void)::waitpid(pid_, &wait_status_, 0);
    machine_.keep_log(words_, {-1, terminal_.said(), 0});
}

bool Console::ended() {
    if (pid_ > 0 && ::waitpid(pid_, &wait_status_, WNOHANG) == pid_) pid_ = -1;
    return pid_ < 0;
}

void Console::wait_for(const std::string &text) {
    constexpr int timeout_s = 240;
    const bool came = terminal_.wait_for(text, timeout_s, [this] { return ended(); });
    INFO("waiting for: " << text << "\n" << terminal_.said());
    REQUIRE(came);
}

void Console::command(const std::string &line) {
    wait_for("# ");
    terminal_.type(line + "\n");
}

void Console::stall(int seconds) const {
    REQUIRE(::kill(pid_, SIGSTOP) == 0);
    (void)::sleep(static_cast<unsigned>(seconds));
    REQUIRE(::kill(pid_, SIGCONT) == 0);
}

Boot Console::finish() {
    while (!ended()) terminal_.listen(100);
    terminal_.listen(100);
    Boot boot{base::exit_code(wait_status_), terminal_.said(), 0};
    machine_.keep_log(words_, boot);
    return boot;
}

}  // namespace boot_test

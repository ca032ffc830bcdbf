#include "hostside/cli/own_machine.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>
#include <utility>

#include "hostside/base/exit_code.h"
#include "hostside/base/line_reader.h"
#include "hostside/base/signals.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/boot_disk.h"
#include "hostside/cli/machine_run.h"
#include "hostside/cli/reporter.h"
#include "hostside/exec/client.h"
#include "mounts/base/at.h"
#include "mounts/base/fd.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

// The launcher in its own process: without a terminal, and with its output on our standard error.
[[noreturn]] void be_launcher(Arguments arguments, base::Fd told, pid_t parent) {
    (void)::setsid();
    (void)::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) std::_Exit(launcher_error);  // the parent ended before prctl
    const base::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    (void)::dup2(null.get(), STDIN_FILENO);
    (void)::dup2(STDERR_FILENO, STDOUT_FILENO);
    arguments.background = true;
    arguments.told_directory = [&](const std::string &directory) { tell_reader(told.get(), directory + "\n"); };
    const int code = run_machine(arguments, [&](const std::string &failure) {
        if (told) tell_reader(told.get(), failure);
        told.reset();
    });
    if (arguments.at_end) arguments.at_end();
    std::_Exit(code);
}

}  // namespace

std::expected<OwnMachine, int> OwnMachine::boot(Arguments arguments) {
    if (const int code = provide_boot_disk(arguments); code != 0) return std::unexpected(code);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return std::unexpected(refuse({"pipe", "", errno, ""}));
    base::Fd read_end(ends[0]);
    base::Fd write_end(ends[1]);
    const pid_t parent = ::getpid(), pid = ::fork();
    if (pid < 0) return std::unexpected(refuse({"fork", "", errno, ""}));
    if (pid == 0) be_launcher(std::move(arguments), std::move(write_end), parent);
    write_end.reset();
    auto told = base::read_all(read_end.get(), "launcher", 65536);
    const size_t end = told ? told->find('\n') : std::string::npos;
    if (end != std::string::npos && end + 1 == told->size()) return OwnMachine(pid, told->substr(0, end));
    const std::string why = end == std::string::npos ? told.value_or("no answer") : told->substr(end + 1);
    for (const auto &line : LineReader(why.size()).take(why + "\n")) say(line);
    int status = 0;
    (void)::waitpid(pid, &status, 0);
    const int code = base::exit_code(status);
    return std::unexpected(code == 0 ? static_cast<int>(launcher_error) : code);
}

OwnMachine::OwnMachine(OwnMachine &&other) noexcept
    : launcher_(std::exchange(other.launcher_, -1)), run_directory_(std::move(other.run_directory_)) {}

OwnMachine::~OwnMachine() {
    if (launcher_ < 0) return;
    (void)::kill(launcher_, SIGTERM);
    (void)wait();
}

std::string OwnMachine::name() const { return run_directory_.substr(run_directory_.rfind('/') + 1); }

int OwnMachine::power_off(int patience_s) {
    (void)run_in_guest({.machine = name(),
                        .run_directory = run_directory_,
                        .request = {.task = "power-off"},
                        .streams = {.signals = false},
                        .limit_s = patience_s});
    if (const auto code = wait_for(patience_s)) return *code;
    (void)::kill(launcher_, SIGTERM);
    return wait();
}

std::optional<int> OwnMachine::wait_for(int seconds) {
    constexpr auto pause = std::chrono::milliseconds(20);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    for (int status = 0; std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(pause))
        if (::waitpid(launcher_, &status, WNOHANG) == launcher_) {
            launcher_ = -1;
            return base::exit_code(status);
        }
    return std::nullopt;
}

int OwnMachine::wait() {
    int status = 0;
    while (::waitpid(launcher_, &status, 0) < 0 && errno == EINTR) {
    }
    launcher_ = -1;
    return base::exit_code(status);
}

}  // namespace hostside

#include "mounts/base/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "mounts/base/at.h"

namespace base {

namespace {

// What a child that failed before exec tells its parent: the stage and errno.
struct StartFailure {
    enum Stage : int { input, output, root, exec } stage;
    int code;
};

const char *stage_name(StartFailure::Stage stage) {
    switch (stage) {
    case StartFailure::input: return "redirect input of";
    case StartFailure::output: return "redirect output of";
    case StartFailure::root: return "chroot for";
    case StartFailure::exec: return "exec";
    }
    return "start";
}

std::vector<char *> pointers(const std::vector<std::string> &strings) {
    std::vector<char *> result;
    for (const auto &s : strings) result.push_back(const_cast<char *>(s.c_str()));
    result.push_back(nullptr);
    return result;
}

[[noreturn]] void child(const Command &command, char *const *argv, char *const *environment, int output, int failure,
                        pid_t parent) {
    const auto give_up = [&](StartFailure::Stage stage) {
        const StartFailure report{stage, errno};
        (void)!::write(failure, &report, sizeof report);
        ::_exit(127);
    };
    // Start with a clean signal state: PID 1 and the launcher block signals that the program must see.
    sigset_t blocked;
    sigemptyset(&blocked);
    // Under nohup, keep SIGHUP blocked: otherwise children that install their own handler (QEMU) would end on it.
    struct sigaction hang_up{};
    if (::sigaction(SIGHUP, nullptr, &hang_up) == 0 && hang_up.sa_handler == SIG_IGN) sigaddset(&blocked, SIGHUP);
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    if (command.dies_with_parent) {
        (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(127);  // the parent ended before the prctl
    }
    const int input = command.standard_input >= 0 ? command.standard_input : ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (input < 0 || ::dup2(input, STDIN_FILENO) < 0) give_up(StartFailure::input);
    if (output >= 0 && (::dup2(output, STDOUT_FILENO) < 0 || ::dup2(output, STDERR_FILENO) < 0)) give_up(StartFailure::output);
    for (const int fd : command.inherited)
        if (::fcntl(fd, F_SETFD, 0) < 0) give_up(StartFailure::input);
    if (!command.root.empty() && (::chroot(command.root.c_str()) < 0 || ::chdir("/") < 0)) give_up(StartFailure::root);
    if (environment != nullptr) environ = const_cast<char **>(environment);
    ::execvp(argv[0], argv);
    give_up(StartFailure::exec);
    ::_exit(127);
}

}  // namespace

Result<Child> start(const Command &command) {
    // Allocate everything before fork, because the caller may be multi-threaded.
    const auto argv = pointers(command.argv);
    std::vector<char *> environment;
    if (command.environment) environment = pointers(*command.environment);
    std::array<int, 2> failure_pipe{};
    std::array<int, 2> output_pipe{-1, -1};
    if (::pipe2(failure_pipe.data(), O_CLOEXEC) < 0) return fail(errno, "pipe", command.argv[0]);
    Fd failure_read(failure_pipe[0]);
    Fd failure_write(failure_pipe[1]);
    if (command.capture_output && ::pipe2(output_pipe.data(), O_CLOEXEC) < 0) return fail(errno, "pipe", command.argv[0]);
    Fd output_read(output_pipe[0]);
    Fd output_write(output_pipe[1]);

    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return fail(errno, "fork", command.argv[0]);
    if (pid == 0)
        child(command, argv.data(), command.environment ? environment.data() : nullptr, output_write.get(), failure_write.get(),
              parent);
    failure_write.reset();
    output_write.reset();
    StartFailure failure{};
    ssize_t n = 0;
    do n = ::read(failure_read.get(), &failure, sizeof failure);
    while (n < 0 && errno == EINTR);
    if (n == sizeof failure) {
        (void)::waitpid(pid, nullptr, 0);
        return fail(failure.code, stage_name(failure.stage), command.argv[0]);
    }
    return Child{pid, std::move(output_read)};
}

int exit_code(int wait_status) { return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status); }

Result<Exit> run(const Command &command) {
    auto child = start(command);
    if (!child) return std::unexpected(child.error());
    Exit result;
    std::array<char, 4096> chunk;
    while (child->output) {
        const ssize_t n = ::read(child->output.get(), chunk.data(), chunk.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        const size_t room = command.output_limit_bytes - result.output.size();
        result.output.append(chunk.data(), std::min(static_cast<size_t>(n), room));
    }
    int status = 0;
    while (::waitpid(child->pid, &status, 0) < 0)
        if (errno != EINTR) return fail(errno, "wait for", command.argv[0]);
    result.status = exit_code(status);
    return result;
}

}  // namespace base

#include "stage1/agent/command.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "mounts/exec/fork_news.h"
#include "stage1/agent/build.h"
#include "stage1/agent/task.h"

namespace stage1 {

namespace {

using base::fail;
using base::Fd;
using base::Result;
using mounts::exec::Request;

constexpr int not_runnable = 126, not_found = 127;  // as in a shell (POSIX, XCU 2.8.2)

Result<std::array<Fd, 2>> pipe_ends() {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return fail(errno, "pipe", "");
    return std::array{Fd(ends[0]), Fd(ends[1])};
}

struct Ends {
    Fd input, output, errors;  // the child's ends
};

Result<Ends> open_terminal(RunningCommand &command, mounts::exec::Size size) {
    Fd leader(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!leader) return fail(errno, "open", "/dev/ptmx", "is devpts mounted on /dev/pts?");
    int locked = 0;
    const winsize window{size.rows, size.columns, 0, 0};
    if (::ioctl(leader.get(), TIOCSPTLCK, &locked) < 0 || ::ioctl(leader.get(), TIOCSWINSZ, &window) < 0)
        return fail(errno, "unlock", "/dev/ptmx");
    Ends ends;
    // Opens the terminal itself, wherever devpts is mounted (ioctl_tty(2)).
    ends.input = Fd(::ioctl(leader.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    command.input = Fd(::fcntl(leader.get(), F_DUPFD_CLOEXEC, 0));
    if (!ends.input || !command.input) return fail(errno, "open", "terminal");
    command.output = std::move(leader);
    command.terminal = true;
    return ends;
}

Result<Ends> open_pipes(RunningCommand &command) {
    auto input = pipe_ends();
    auto output = pipe_ends();
    auto errors = pipe_ends();
    for (const auto *made : {&input, &output, &errors})
        if (!*made) return std::unexpected(made->error());
    command.input = std::move((*input)[1]);
    command.output = std::move((*output)[0]);
    command.errors = std::move((*errors)[0]);
    return Ends{std::move((*input)[0]), std::move((*output)[1]), std::move((*errors)[1])};
}

[[noreturn]] void give_up(int failure, int code, std::string_view step, std::string_view what, std::string_view hint = {}) {
    const int error = errno;
    const std::string text =
        static_cast<char>(code) + base::message({std::string(step), std::string(what), error, std::string(hint)});
    (void)!::write(failure, text.data(), text.size());
    ::_exit(code);
}

void take_ends(const Ends &ends, bool terminal, int failure) {
    const int input = ends.input.get();
    if (::setsid() < 0 || (terminal && ::ioctl(input, TIOCSCTTY, 0) < 0)) give_up(failure, not_runnable, "open", "session");
    const int output = terminal ? input : ends.output.get(), errors = terminal ? input : ends.errors.get();
    if (::dup2(input, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 || ::dup2(errors, STDERR_FILENO) < 0)
        give_up(failure, not_runnable, "redirect", "standard streams");
}

// Becomes the user, as login(1) does. The request overrides the environment. Returns the shell.
std::string become(const Request &request, const std::string &system, int failure) {
    const std::string user = request.user.empty() ? "root" : request.user;
    errno = 0;
    const passwd *entry = ::getpwnam(user.c_str());
    if (entry == nullptr && user != "root") {
        errno = 0;
        give_up(failure, not_runnable, "find user", user, "the guest has no such user");
    }
    const std::string home = entry != nullptr ? entry->pw_dir : "/root";
    std::string shell = entry != nullptr ? entry->pw_shell : "/bin/sh";
    if (entry != nullptr && entry->pw_uid != ::geteuid())
        if (::initgroups(entry->pw_name, entry->pw_gid) < 0 || ::setgid(entry->pw_gid) < 0 || ::setuid(entry->pw_uid) < 0)
            give_up(failure, not_runnable, "become user", user);
    (void)::clearenv();
    const std::string path = (system.empty() ? "" : system + "/sw/bin:") +
                             "/run/wrappers/bin:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:"
                             "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (const auto &[name, value] :
         {std::pair{"PATH", &path}, {"HOME", &home}, {"USER", &user}, {"LOGNAME", &user}, {"SHELL", &shell}})
        (void)::setenv(name, value->c_str(), 1);
    for (const auto &variable : request.environment) (void)::putenv(const_cast<char *>(variable.c_str()));
    const std::string &directory = request.directory.empty() ? home : request.directory;
    // A missing home directory does not prevent the command.
    if (::chdir(directory.c_str()) < 0 && (!request.directory.empty() || ::chdir("/") < 0))
        give_up(failure, not_runnable, "change directory to", directory);
    return shell;
}

// As Nix does it (libstore, LocalDerivationGoal::runChild).
void become_builder(const Request &request, int failure) {
    const auto who = build_user(request.user);
    if (!who) {
        errno = 0;
        give_up(failure, not_runnable, "become build user", base::message(who.error()));
    }
    if (::setgroups(0, nullptr) < 0 || ::setgid(who->gid) < 0 || ::setuid(who->uid) < 0)
        give_up(failure, not_runnable, "become build user", request.user);
    (void)::umask(022);
    constexpr rlimit none{0, RLIM_INFINITY};
    (void)::setrlimit(RLIMIT_CORE, &none);
    (void)::clearenv();
    for (const auto &variable : request.environment) (void)::putenv(const_cast<char *>(variable.c_str()));
    if (!request.directory.empty() && ::chdir(request.directory.c_str()) < 0)
        give_up(failure, not_runnable, "change directory to", request.directory);
}

// This is a copy of the agent's process with one thread, so it may call any function.
[[noreturn]] void child(const Request &request, const Surroundings &guest, const Ends &ends, bool terminal, int failure) {
    sigset_t none;
    sigemptyset(&none);
    (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
    (void)::signal(SIGPIPE, SIG_DFL);
    take_ends(ends, terminal, failure);
    std::string shell = "/bin/sh";
    if (request.builder)
        become_builder(request, failure);
    else
        shell = become(request, guest.system, failure);
    if (!request.task.empty()) {
        // Close the agent's descriptors, because there is no exec; one of them is the other end of this input.
        (void)::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
        if (guest.wake && request.task.starts_with(mounts::exec::fork_task))
            ::_exit(guest.wake(request.task.substr(mounts::exec::fork_task.size())));
        ::_exit(do_task(request.task));
    }
    if (request.argv.empty() && guest.shell) {
        (void)::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
        ::_exit(guest.shell());
    }
    std::vector<char *> argv;
    for (const auto &word : request.argv) argv.push_back(const_cast<char *>(word.c_str()));
    std::string login = "-" + shell.substr(shell.rfind('/') + 1);
    if (argv.empty()) argv.push_back(login.data());
    argv.push_back(nullptr);
    (void)::execvp(request.argv.empty() ? shell.c_str() : argv[0], argv.data());
    give_up(failure, errno == ENOENT ? not_found : not_runnable, "run", request.argv.empty() ? shell : request.argv[0]);
}

}  // namespace

Result<RunningCommand> start_command(const Request &request, const Surroundings &guest) {
    RunningCommand command;
    auto failure = pipe_ends();
    if (!failure) return std::unexpected(failure.error());
    auto ends = request.terminal ? open_terminal(command, *request.terminal) : open_pipes(command);
    if (!ends) return std::unexpected(ends.error());
    command.failure = std::move((*failure)[0]);
    for (const auto *fd : {&command.input, &command.output, &command.errors, &command.failure})
        if (*fd) (void)::fcntl(fd->get(), F_SETFL, ::fcntl(fd->get(), F_GETFL) | O_NONBLOCK);
    command.pid = ::fork();
    if (command.pid < 0) return fail(errno, "fork", "");
    if (command.pid == 0) child(request, guest, *ends, command.terminal, (*failure)[1].get());
    return command;
}

}  // namespace stage1

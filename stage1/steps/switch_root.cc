#include "stage1/steps/switch_root.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <format>

#include "mounts/base/at.h"
#include "mounts/base/directory.h"
#include "mounts/base/log.h"
#include "stage1/agent/agent.h"
#include "stage1/base/tell_host.h"
#include "stage1/steps/fork.h"
#include "stage1/steps/target.h"

namespace stage1 {

namespace {

using base::fail;
using base::Result;

// Frees the initramfs: removes everything in `directory` that is on `device`. Does not enter other file systems. Whatever
// cannot be removed only keeps its memory.
void remove_contents(const base::Fd &directory, dev_t device) {
    const int fd = directory.get();
    const auto names = base::names_in(fd, "the initramfs");
    if (!names) return;
    for (const std::string &name : *names) {
        struct stat st{};
        if (::fstatat(fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != device) continue;
        const bool is_directory = S_ISDIR(st.st_mode);
        if (is_directory)
            if (auto sub = base::open_at(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)) remove_contents(*sub, device);
        (void)::unlinkat(fd, name.c_str(), is_directory ? AT_REMOVEDIR : 0);
    }
}

// Only an initramfs may be emptied; any other root is somebody's disk.
bool is_initramfs(int fd) {
    struct statfs fs{};
    return ::fstatfs(fd, &fs) == 0 && (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC);
}

struct Freeing {
    base::Fd root;
    dev_t device = 0;
    base::Fd until_exec;  // the read end of a pipe whose other end closes at the exec of stage 2
    base::Fd executed;
    pid_t child = -1;
};

// The child. It shares the parent's memory, which the parent uses until the exec, so it makes only system calls.
int free_after_exec(void *argument) {
    auto &job = *static_cast<Freeing *>(argument);
    const sched_param none{};
    (void)::syscall(SYS_sched_setscheduler, 0, SCHED_IDLE, &none);  // stage 2 has priority; musl has no function for this
    ::close(job.executed.get());                                    // the child's copy
    char nothing = 0;
    if (::read(job.until_exec.get(), &nothing, 1) == 0) remove_contents(job.root, job.device);
    ::_exit(0);
}

// Frees the initramfs in a child, after the exec closed the pipe, so that stage 2 neither waits for it nor is slowed down.
// Stage 2 reaps the child. Shared memory avoids copying page tables here and tearing them down at the exec.
void free_initramfs(Freeing &job) {
    static std::array<char, 65536> stack;
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) == 0) {
        job.until_exec.reset(ends[0]);
        job.executed.reset(ends[1]);
        job.child = ::clone(free_after_exec, stack.data() + stack.size(), CLONE_VM | SIGCHLD, &job);
        if (job.child > 0) return;
    }
    remove_contents(job.root, job.device);
}

Result<> check_program(int fd, const std::string &path) {
    struct stat st{};
    if (::fstat(fd, &st) < 0) return fail(errno, "stat", path);
    if (!S_ISREG(st.st_mode)) return fail(0, "find init", path, "not a regular file");
    if ((st.st_mode & 0111) == 0) return fail(EACCES, "find init", path, "the file is not executable");
    return {};
}

std::string name_of(int fd) {
    std::string name(PATH_MAX, '\0');
    const ssize_t n = ::readlink(std::format("/proc/self/fd/{}", fd).c_str(), name.data(), name.size());
    name.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return name;
}

// The directory of a file as a path in `root`, with symlinks resolved. Empty: the root itself, or outside it.
std::string real_directory(int root, int file) {
    const std::string top = name_of(root), path = name_of(file);
    if (top.empty() || !path.starts_with(top + "/")) return {};
    return path.substr(top.size(), path.rfind('/') - top.size());
}

bool is_system(int root, const std::string &directory) {
    return base::open_in_root(root, directory + "/nixos-version", O_PATH).has_value();
}

bool is_elf(int root, const std::string &program) {
    const auto fd = base::open_in_root(root, program, O_RDONLY | O_NONBLOCK);
    std::array<char, 4> magic{};
    return fd && ::read(fd->get(), magic.data(), magic.size()) == 4 && std::string_view(magic.data(), 4) == "\177ELF";
}

}  // namespace

Result<std::string> find_stage2(const std::string &target_root, const std::string &init) {
    auto root = base::open_at(AT_FDCWD, target_root, O_PATH | O_DIRECTORY);
    if (!root)
        return fail(root.error().code, "find init", init,
                    std::format("'{}' is not a target root: nothing is mounted there", target_root));
    auto file = base::open_in_root(root->get(), init, O_PATH);
    if (!file) {
        auto error = file.error();
        error.step = "find init";
        error.hint =
            std::format("no such file in the target root {}; is the store mounted, and is init= from this closure?", target_root);
        return std::unexpected(std::move(error));
    }
    if (auto can = check_program(file->get(), init); !can) return std::unexpected(can.error());
    const std::string directory = real_directory(root->get(), file->get());
    const std::string prepare = directory + "/prepare-root";
    if (directory.empty()) return init;
    if (auto script = base::open_in_root(root->get(), prepare, O_PATH)) {
        if (auto can = check_program(script->get(), prepare); !can) return std::unexpected(can.error());
        return prepare;
    } else if (script.error().code != ENOENT) {
        return std::unexpected(script.error());
    }
    if (is_system(root->get(), directory) && is_elf(root->get(), init))
        return fail(0, "find init", init,
                    "it is systemd itself, and the system has no prepare-root that would activate it (system.nixos-init.enable): "
                    "boot it with its own initrd, with stage1's units in it, or with system.nixos-init.enable off");
    return init;
}

base::Error switch_root(const mounts::SwitchRoot &step) {
    const auto &[target_root, init, agent, late] = step;
    const bool alone = agent == mounts::AgentMode::only;
    const auto stage2 = alone ? Result<std::string>("") : find_stage2(target_root, init);
    if (!stage2) return stage2.error();
    if (!alone && *stage2 != init)
        base::log(base::Priority::info, std::format("executing {}, which activates the system", *stage2));
    Freeing freeing;
    freeing.root.reset(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat st{};
    if (!freeing.root || ::fstat(freeing.root.get(), &st) < 0) return fail(errno, "open", "/").error();
    freeing.device = st.st_dev;
    // Resolve links inside the root, because they belong to the guest. Resolve all of them before moving, because this needs
    // /proc.
    constexpr std::array<const char *, 4> moved{"/proc", "/sys", "/dev", "/run"};
    std::array<std::string, moved.size()> targets;
    for (size_t i = 0; i < moved.size(); ++i) {
        auto target = real_path(target_root, target_root + moved[i]);
        if (!target) return target.error();
        targets[i] = std::move(*target);
    }
    for (size_t i = 0; i < moved.size(); ++i)
        if (::mount(moved[i], targets[i].c_str(), nullptr, MS_MOVE, nullptr) < 0 && errno != EINVAL)
            return fail(errno, "move mount", targets[i]).error();
    if (::chdir(target_root.c_str()) < 0) return fail(errno, "chdir", target_root).error();
    if (::mount(".", "/", nullptr, MS_MOVE, nullptr) < 0) return fail(errno, "move the root mount", target_root).error();
    if (::chroot(".") < 0 || ::chdir("/") < 0) return fail(errno, "chroot", target_root).error();
    hang_up();  // before the child inherits a copy that keeps the port busy for stage 2
    const std::string system = init.substr(0, init.rfind('/') == std::string::npos ? 0 : init.rfind('/'));
    // Its process has what is planned.
    const Surroundings guest{
        .system = system, .shell = {}, .wake = [&late](const std::string &news) { return wake_fork(news, late); }};
    if (alone) be_agent(guest);
    if (agent == mounts::AgentMode::on || agent == mounts::AgentMode::early) start_agent(guest);
    if (is_initramfs(freeing.root.get())) free_initramfs(freeing);

    // Stage 2 starts like a new PID 1: no signal ignored or blocked.
    sigset_t none;
    sigemptyset(&none);
    (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
    // With this variable, prepare-root assumes that systemd already runs. The kernel puts unknown parameters into the
    // environment.
    (void)::unsetenv("IN_NIXOS_SYSTEMD_STAGE1");
    ::execl(stage2->c_str(), stage2->c_str(), nullptr);
    const int code = errno;
    if (freeing.child > 0) {  // kill it before the pipe closes, so that the initramfs stays
        (void)::kill(freeing.child, SIGKILL);
        (void)::waitpid(freeing.child, nullptr, 0);
    }
    return fail(code, "exec", *stage2,
                code == ENOENT ? "its interpreter (the #! line, or the dynamic loader) is not in the target root" : "")
        .error();
}

}  // namespace stage1

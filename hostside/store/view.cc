#include "hostside/store/view.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstring>
#include <format>

#include "hostside/base/passed_fds.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::fail;
using base::Fd;
using base::Result;

constexpr std::string_view making_view = "make a view of the store";

// Root needs no user namespace, unless it is root only in a container.
Result<> enter_namespaces() {
    const uid_t uid = ::geteuid();
    const gid_t gid = ::getegid();
    if (uid == 0 && ::unshare(CLONE_NEWNS) == 0) return {};
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return fail(errno, making_view, "user namespace",
                    "this host does not allow one (it is a container, or its administrator disabled them)");
    for (const auto &[file, text] : {std::pair{"setgroups", std::string("deny")},
                                     {"uid_map", std::format("{0} {0} 1", uid)},
                                     {"gid_map", std::format("{0} {0} 1", gid)}}) {
        const std::string path = std::format("/proc/self/{}", file);
        auto fd = base::open_at(AT_FDCWD, path, O_WRONLY);
        if (!fd) return fail(fd.error().code, making_view, path);
        if (auto wrote = base::write_all(fd->get(), text, path); !wrote) return wrote;
    }
    return {};
}

// Links cannot be bind mounted, so they are copied.
Result<> copy_link(int store, int place, const std::string &name) {
    std::array<char, PATH_MAX> target{};
    if (::readlinkat(store, name.c_str(), target.data(), target.size() - 1) < 0) return fail(errno, making_view, name);
    if (::symlinkat(target.data(), place, name.c_str()) < 0) return fail(errno, making_view, name);
    struct stat st{};
    if (::fstatat(store, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) return fail(errno, making_view, name);
    const std::array<timespec, 2> times{st.st_atim, st.st_mtim};
    (void)::utimensat(place, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW);         // the times do not matter much
    (void)::fchownat(place, name.c_str(), st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);  // only root can
    return {};
}

Result<> bind(const ViewSpec &spec, int store, int place, const std::string &name) {
    struct stat st{};
    if (::fstatat(store, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(errno, making_view, spec.store + "/" + name, "the closure names it; is the store complete?");
    if (S_ISLNK(st.st_mode)) return copy_link(store, place, name);
    const Fd made(S_ISDIR(st.st_mode) ? -1 : ::openat(place, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
    if (S_ISDIR(st.st_mode) ? ::mkdirat(place, name.c_str(), 0) < 0 : !made) return fail(errno, making_view, name);
    if (::mount((spec.store + "/" + name).c_str(), (spec.place + "/" + name).c_str(), nullptr, MS_BIND, nullptr) < 0)
        return fail(errno, making_view, spec.store + "/" + name);
    return {};
}

// Called in our new namespace. Mounts the view at its place and returns its directory.
Result<Fd> mount_view(const ViewSpec &spec) {
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) < 0) return fail(errno, making_view, "/");
    auto store = base::open_at(AT_FDCWD, spec.store, O_PATH | O_DIRECTORY);
    if (!store) return std::unexpected(store.error());
    if (::mount("tmpfs", spec.place.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64m,nr_inodes=0") < 0)
        return fail(errno, making_view, spec.place, "the host denied a mount in a namespace of runvm's own");
    auto place = base::open_at(AT_FDCWD, spec.place, O_RDONLY | O_DIRECTORY);
    if (!place) return place;
    for (const auto &name : spec.names)
        if (auto bound = bind(spec, store->get(), place->get(), name); !bound) return std::unexpected(bound.error());
    struct stat st{};
    if (::fstat(store->get(), &st) < 0) return fail(errno, making_view, spec.store);
    (void)::fchown(place->get(), st.st_uid, st.st_gid);  // only root can
    (void)::fchmod(place->get(), st.st_mode & 07777);    // like the store, with sticky bit and group
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY;
    if (::syscall(SYS_mount_setattr, place->get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) < 0)
        return fail(errno, making_view, spec.place, errno == ENOSYS ? "Linux 5.12 or newer is needed" : "");
    return place;
}

// Makes the view the root and unmounts the old one.
Result<> leave_all_else(int place) {
    if (::fchdir(place) < 0) return fail(errno, making_view, "chdir");
    if (::syscall(SYS_pivot_root, ".", ".") < 0) return fail(errno, making_view, "pivot_root");
    if (::umount2(".", MNT_DETACH) < 0) return fail(errno, making_view, "unmount");
    if (::chdir("/") < 0) return fail(errno, making_view, "chdir");
    return {};
}

// A child's message: two descriptors, or an Error's step, path and hint.
struct Message {
    int code = 0;
    std::array<char, 256> path{}, hint{};
};

void put(std::array<char, 256> &to, const std::string &text) { (void)text.copy(to.data(), to.size() - 1); }

void send_error(int socket, const base::Error &error) {
    Message message{.code = error.code};
    put(message.path, error.path);
    put(message.hint, error.hint);
    (void)!::write(socket, &message, sizeof message);
}

void send_view(int socket, int directory, int name_space) {
    const Message none;
    (void)send_fds(socket, {{directory, name_space}}, {reinterpret_cast<const char *>(&none), sizeof none});
}

// False: the other end closed without a message. `view` stays empty if no descriptors came.
bool receive(int socket, Message &message, StoreView &view) {
    auto passed = receive_fds(socket, sizeof message, 2);
    if (!passed || passed->bytes.size() != sizeof message) return false;
    std::memcpy(&message, passed->bytes.data(), sizeof message);
    if (passed->fds.size() == 2) view = {std::move(passed->fds[0]), std::move(passed->fds[1])};
    return true;
}

std::unexpected<base::Error> error_of(const Message &message) {
    return fail(message.code, making_view, message.path.data(), message.hint.data());
}

long number_in(const char *path) {
    const std::string text = base::read_file(path, 64).value_or("");
    long number = 0;
    (void)std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

// Each path needs a bind mount, and the namespace begins with the existing mounts.
Result<> check_count(const ViewSpec &spec) {
    const long most = number_in("/proc/sys/fs/mount-max");
    const std::string table = base::read_file("/proc/self/mountinfo").value_or("");
    const long there = std::ranges::count(table, '\n');
    if (most == 0 || static_cast<long>(spec.names.size()) + there < most) return {};
    return fail(
        0, making_view, spec.store,
        std::format("the closure has {} paths, but this host allows only {} mounts (fs.mount-max)", spec.names.size(), most));
}

struct Forked {
    pid_t pid = -1;
    Fd socket;  // parent: reads; child: writes
};

// Like fork(2). The child dies with us.
Result<Forked> fork_with_socket() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) < 0) return fail(errno, making_view, "socketpair");
    Fd ours(ends[0]), childs(ends[1]);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return fail(errno, making_view, "fork");
    if (pid > 0) return Forked{pid, std::move(ours)};
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    return Forked{0, std::move(childs)};
}

[[noreturn]] void hand_over(const ViewSpec &spec, int socket) {
    auto done = enter_namespaces();
    auto place = done ? mount_view(spec) : std::unexpected(done.error());
    const Fd name_space(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
    if (place) done = name_space ? leave_all_else(place->get()) : fail(errno, making_view, "/proc/self/ns/mnt");
    if (!place || !done)
        send_error(socket, place ? done.error() : place.error());
    else
        send_view(socket, place->get(), name_space.get());
    ::_exit(0);
}

[[noreturn]] void execute(const ViewSpec &spec, const std::vector<char *> &argv, int socket, int output) {
    auto done = enter_namespaces();
    auto place = done ? mount_view(spec) : std::unexpected(done.error());
    if (!place) {
        send_error(socket, place.error());
        ::_exit(1);
    }
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a change of credentials may have reset it
    const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    (void)::dup2(null.get(), STDIN_FILENO);
    (void)::dup2(output, STDOUT_FILENO);
    (void)::dup2(output, STDERR_FILENO);
    ::execv(argv[0], argv.data());
    send_error(socket, fail(errno, making_view, argv[0]).error());
    ::_exit(1);
}

// Reads all of the program's output and keeps the first 64 KiB.
std::string listen(int output, const std::function<void()> &tick) {
    constexpr size_t limit_bytes = size_t{64} << 10;
    constexpr int second_ms = 1000;
    std::string said;
    std::array<char, 4096> chunk;
    for (;;) {
        pollfd wait{output, POLLIN, 0};
        if (::poll(&wait, 1, second_ms) == 0) {
            tick();
            continue;
        }
        const ssize_t n = ::read(output, chunk.data(), chunk.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return said;
        said.append(chunk.data(), std::min(static_cast<size_t>(n), limit_bytes - said.size()));
    }
}

int wait_for(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return base::exit_code(status);
}

}  // namespace

Result<StoreView> open_view(const ViewSpec &spec) {
    if (auto few = check_count(spec); !few) return std::unexpected(few.error());
    auto child = fork_with_socket();
    if (!child) return std::unexpected(child.error());
    if (child->pid == 0) hand_over(spec, child->socket.get());
    Message message;
    StoreView view;
    const bool told = receive(child->socket.get(), message, view);
    (void)wait_for(child->pid);
    if (view.directory) return view;
    return told ? error_of(message) : fail(0, making_view, spec.store, "the process that made it was killed");
}

Result<base::Child> start_over_view(const ViewSpec &spec, const std::vector<std::string> &argv) {
    if (auto few = check_count(spec); !few) return std::unexpected(few.error());
    std::vector<char *> words;
    for (const auto &word : argv) words.push_back(const_cast<char *>(word.c_str()));
    words.push_back(nullptr);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return fail(errno, making_view, "pipe");
    Fd output(ends[0]);
    Fd childs(ends[1]);
    auto child = fork_with_socket();
    if (!child) return std::unexpected(child.error());
    if (child->pid == 0) execute(spec, words, child->socket.get(), childs.get());
    childs.reset();
    Message message;
    StoreView none;
    if (!receive(child->socket.get(), message, none)) return base::Child{child->pid, std::move(output)};  // closed by exec
    (void)wait_for(child->pid);
    return error_of(message);
}

Result<base::Exit> run_over_view(const ViewSpec &spec, const std::vector<std::string> &argv, const std::function<void()> &tick) {
    auto child = start_over_view(spec, argv);
    if (!child) return std::unexpected(child.error());
    base::Exit exit{.output = listen(child->output.get(), tick)};
    exit.status = wait_for(child->pid);
    return exit;
}

}  // namespace hostside

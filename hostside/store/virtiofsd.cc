#include "hostside/store/virtiofsd.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <ranges>

#include "hostside/base/program_path.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

constexpr std::string_view sharing_store = "share the store over virtiofs";
constexpr std::string_view sharing = "share over virtiofs";
constexpr std::string_view sandboxing = "give virtiofsd a root of its own";
constexpr std::string_view remedy = "install virtiofsd 1.x in PATH, or share over 9p (--store-kind 9p, --share-kind 9p)";
constexpr rlim_t of_its_own = 1000;  // descriptors for other purposes, with some reserve

rlim_t descriptor_limit() {
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : 0;
}

// The number of inodes beneath `path`, at most `most`. Ignores what cannot be listed, because the daemon cannot list it either.
rlim_t count_inodes(const std::string &path, rlim_t most) {
    rlim_t count = 1;
    std::error_code error;
    for (fs::recursive_directory_iterator it(path, fs::directory_options::skip_permission_denied, error), end;
         it != end && !error && count < most; it.increment(error))
        ++count;
    return count;
}

// Whether a daemon of ours may open the directory's files by handle (open_by_handle_at(2)): its file system has handles, and we
// have CAP_DAC_READ_SEARCH in the initial user namespace. It then keeps descriptors only of files that the guest has open.
bool opens_by_handle(const std::string &directory) {
    const base::Fd at(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    alignas(file_handle) std::array<std::byte, sizeof(file_handle) + MAX_HANDLE_SZ> room{};
    auto *const handle = reinterpret_cast<file_handle *>(room.data());
    handle->handle_bytes = MAX_HANDLE_SZ;
    int mount = 0;
    if (!at || ::name_to_handle_at(at.get(), "", handle, &mount, AT_EMPTY_PATH) < 0) return false;
    return base::Fd(::open_by_handle_at(at.get(), handle, O_PATH | O_CLOEXEC)).valid();
}

bool on_one_file_system(const std::string &one, const std::string &other) {
    struct stat a{}, b{};
    return ::stat(one.c_str(), &a) == 0 && ::lstat(other.c_str(), &b) == 0 && a.st_dev == b.st_dev;
}

Result<std::vector<std::string>> common_argv(const std::string &directory, int listening) {
    auto program = find_virtiofsd();
    if (!program) return std::unexpected(program.error());
    return std::vector<std::string>{*program, "--shared-dir=" + directory, std::format("--fd={}", listening), "--log-level=error",
                                    std::format("--rlimit-nofile={}", descriptor_limit())};
}

// It resolves the directory's name itself, so /proc/self/fd/N would be another directory there: pass a real path. Its own
// sandboxes would create user namespaces with other owners; seccomp is active anyway.
Result<std::vector<std::string>> argv_for(const std::string &store, const std::string &directory, int listening) {
    auto argv = common_argv(directory, listening);
    if (argv && opens_by_handle(store)) argv->emplace_back("--inode-file-handles=prefer");
    if (argv) argv->insert(argv->end(), {"--sandbox=none", "--readonly", "--cache=always", "--no-announce-submounts"});
    return argv;
}

// In the daemon's user namespace only our own user exists, so every guest owner becomes that user.
std::string squashed(unsigned id) { return std::format("squash-guest:0:{}:{}", id, UINT32_MAX); }

Result<CompanionProcess> start_with(Result<std::vector<std::string>> argv, int listening) {
    if (!argv) return std::unexpected(argv.error());
    auto child = base::start({.argv = *argv, .inherited = {listening}, .capture_output = true, .dies_with_parent = true});
    if (!child) return std::unexpected(child.error());
    return CompanionProcess(std::move(*child), SIGKILL);
}

}  // namespace

Result<std::string> find_virtiofsd() {
    std::string other;
    for (auto &program : programs_named("virtiofsd", {"/usr/libexec", "/usr/lib/virtiofsd", "/usr/lib"})) {
        const auto told = base::run({.argv = {program, "--version"}, .capture_output = true, .dies_with_parent = true});
        if (told && told->status == 0 && told->output.starts_with("virtiofsd 1.")) return program;
        other = std::move(program);
    }
    if (other.empty()) return fail(0, sharing, "virtiofsd", std::format("it was not found: {}", remedy));
    return fail(0, sharing, other, std::format("it is not virtiofsd 1.x: {}", remedy));
}

Result<> check_descriptors(const std::string &store, const std::vector<std::string> &names) {
    const rlim_t limit = descriptor_limit();
    if (limit == RLIM_INFINITY) return {};
    rlim_t count = of_its_own;
    const bool handles = opens_by_handle(store);
    for (const auto &name : names) {
        if (handles && on_one_file_system(store, store + "/" + name)) continue;
        if ((count += count_inodes(store + "/" + name, limit)) >= limit)
            return fail(0, sharing_store, store,
                        std::format("the store has more files than virtiofsd may have descriptors ({}), so its listings would be "
                                    "incomplete; raise the hard limit (ulimit -Hn), or use --store-kind 9p or erofs",
                                    limit));
    }
    return {};
}

Result<> check_share_descriptors(const std::string &directory) {
    const rlim_t limit = descriptor_limit();
    if (limit == RLIM_INFINITY || of_its_own + count_inodes(directory, limit) < limit) return {};
    return fail(0, "count files", directory,
                std::format("it has more files than virtiofsd may have descriptors ({}), so its listings would be incomplete; "
                            "raise the hard limit (ulimit -Hn), or share it over 9p",
                            limit));
}

Result<CompanionProcess> start_virtiofsd(const ViewSpec &view, const std::string &socket) {
    auto listening = listen_blocking(socket);
    if (!listening) return std::unexpected(listening.error());
    auto argv = argv_for(view.store, view.place, listening->get());
    if (!argv) return std::unexpected(argv.error());
    // In a user namespace with one user, root's files belong to nobody; the guest must see them as root's.
    if (::geteuid() != 0) {
        const std::string nobody = base::read_file("/proc/sys/kernel/overflowuid", 16).value_or("65534");
        const std::string map = std::format("squash-host:{}:0:1", nobody.substr(0, nobody.find('\n')));
        argv->insert(argv->end(), {"--translate-uid=" + map, "--translate-gid=" + map});
    }
    if (::fcntl(listening->get(), F_SETFD, 0) < 0) return fail(errno, sharing_store, socket);
    auto child = start_over_view(view, *argv);
    if (!child) return std::unexpected(child.error());
    return CompanionProcess(std::move(*child), SIGKILL);
}

Result<CompanionProcess> start_virtiofsd(const std::string &directory, const std::string &socket) {
    auto listening = listen_blocking(socket);
    if (!listening) return std::unexpected(listening.error());
    return start_with(argv_for(directory, directory, listening->get()), listening->get());
}

Result<CompanionProcess> share_over_virtiofs(const std::string &directory, const std::string &socket, bool read_only) {
    auto listening = listen_blocking(socket);
    if (!listening) return std::unexpected(listening.error());
    auto argv = common_argv(directory, listening->get());
    if (!argv) return std::unexpected(argv.error());
    // The guest sees the host's changes when it opens a file, and changed attributes within a second.
    argv->insert(argv->end(), {"--sandbox=namespace", "--cache=auto", "--xattr"});
    if (read_only) argv->emplace_back("--readonly");
    if (::geteuid() != 0)
        argv->insert(argv->end(), {"--translate-uid=" + squashed(::geteuid()), "--translate-gid=" + squashed(::getegid())});
    return start_with(std::move(argv), listening->get());
}

Result<> check_sandbox() {
    const bool root = ::geteuid() == 0;
    const pid_t child = ::fork();
    if (child < 0) return fail(errno, sandboxing, "fork");
    if (child == 0) {
        constexpr int its_namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET;
        ::_exit(::unshare(its_namespaces | (root ? 0 : CLONE_NEWUSER)) == 0 ? 0 : errno);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    const int code = base::exit_code(status);
    return code == 0 ? Result<>{}
                     : fail(code, sandboxing, "namespaces",
                            "this host does not allow them (in a container, or by its administrator's settings)");
}

}  // namespace hostside

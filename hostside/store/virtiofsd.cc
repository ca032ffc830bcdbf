#include "hostside/store/virtiofsd.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <format>
#include <ranges>

#include "hostside/base/printable.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

using base::fail;
using base::Fd;
using base::Result;
namespace fs = std::filesystem;

constexpr std::string_view step = "share the store over virtiofs";
constexpr std::string_view remedy = "install virtiofsd 1.x and have it in PATH, or share the store with --store-kind 9p";
constexpr rlim_t of_its_own = 1000;  // descriptors that are no inode's, with room to spare

rlim_t descriptor_limit() {
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : 0;
}

// How many there are beneath, up to `most`; what can't be listed can't be listed by the daemon either.
rlim_t count_inodes(const std::string &path, rlim_t most) {
    rlim_t count = 1;
    std::error_code error;
    for (fs::recursive_directory_iterator it(path, fs::directory_options::skip_permission_denied, error), end;
         it != end && !error && count < most; it.increment(error))
        ++count;
    return count;
}

Result<Fd> listen_at(const std::string &path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail(ENAMETOOLONG, step, path, "a socket's path has 107 bytes at most; set XDG_RUNTIME_DIR to a shorter folder");
    std::memcpy(address.sun_path, path.c_str(), path.size());
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) < 0 || ::listen(fd.get(), 1) < 0)
        return fail(errno, step, path);
    return fd;
}

// It resolves the folder's name itself, so that /proc/self/fd/N would be another folder of that name: a path it must be. Its
// own sandboxes are users' with other owners; seccomp it has anyway.
Result<std::vector<std::string>> argv_for(const std::string &folder, int listening) {
    auto program = find_virtiofsd();
    if (!program) return std::unexpected(program.error());
    return std::vector<std::string>{*program,
                                    "--shared-dir=" + folder,
                                    std::format("--fd={}", listening),
                                    "--sandbox=none",
                                    "--readonly",
                                    "--cache=always",
                                    "--no-announce-submounts",
                                    "--log-level=error",
                                    std::format("--rlimit-nofile={}", descriptor_limit())};
}

}  // namespace

Result<std::string> find_virtiofsd() {
    const char *path = std::getenv("PATH");
    const std::string folders = std::string(path != nullptr ? path : "") + ":/usr/libexec:/usr/lib/virtiofsd:/usr/lib";
    std::string other;
    for (const auto part : std::views::split(folders, ':')) {
        const std::string_view folder(part);
        std::string program = std::format("{}/virtiofsd", folder);
        if (!folder.starts_with('/') || ::access(program.c_str(), X_OK) < 0 || fs::is_directory(program)) continue;
        const auto told = base::run({.argv = {program, "--version"}, .capture_output = true, .dies_with_parent = true});
        if (told && told->status == 0 && told->output.starts_with("virtiofsd 1.")) return program;
        other = std::move(program);
    }
    if (other.empty()) return fail(0, step, "virtiofsd", std::format("there is none: {}", remedy));
    return fail(0, step, other, std::format("it is not virtiofsd 1.x: {}", remedy));
}

Result<> check_descriptors(const std::string &store, const std::vector<std::string> &names) {
    const rlim_t limit = descriptor_limit();
    if (limit == RLIM_INFINITY) return {};
    rlim_t count = of_its_own;
    for (const auto &name : names)
        if ((count += count_inodes(store + "/" + name, limit)) >= limit)
            return fail(0, step, store,
                        std::format("the store has more files than virtiofsd may have descriptors ({}), and without them its "
                                    "listings are short; raise the hard limit (ulimit -Hn), or use --store-kind 9p or erofs",
                                    limit));
    return {};
}

Virtiofsd::Virtiofsd(base::Child child) : pid_(child.pid), output_(std::move(child.output)) {
    (void)::fcntl(output_.get(), F_SETFL, O_NONBLOCK);
}

Result<Virtiofsd> Virtiofsd::start(const ViewSpec &view, const std::string &socket) {
    auto listening = listen_at(socket);
    if (!listening) return std::unexpected(listening.error());
    auto argv = argv_for(view.place, listening->get());
    if (!argv) return std::unexpected(argv.error());
    // In a user namespace with one user what is root's is nobody's, and is to be root's again in the guest.
    if (::geteuid() != 0) {
        const std::string nobody = base::read_file("/proc/sys/kernel/overflowuid", 16).value_or("65534");
        const std::string map = std::format("squash-host:{}:0:1", nobody.substr(0, nobody.find('\n')));
        argv->insert(argv->end(), {"--translate-uid=" + map, "--translate-gid=" + map});
    }
    if (::fcntl(listening->get(), F_SETFD, 0) < 0) return fail(errno, step, socket);
    auto child = start_over_view(view, *argv);
    if (!child) return std::unexpected(child.error());
    return Virtiofsd(std::move(*child));
}

Result<Virtiofsd> Virtiofsd::start(const std::string &folder, const std::string &socket) {
    auto listening = listen_at(socket);
    if (!listening) return std::unexpected(listening.error());
    auto argv = argv_for(folder, listening->get());
    if (!argv) return std::unexpected(argv.error());
    auto child = base::start({.argv = *argv, .inherited = {listening->get()}, .capture_output = true, .dies_with_parent = true});
    if (!child) return std::unexpected(child.error());
    return Virtiofsd(std::move(*child));
}

Virtiofsd &Virtiofsd::operator=(Virtiofsd &&other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(output_, other.output_);
    return *this;
}

Virtiofsd::~Virtiofsd() {
    if (pid_ <= 0) return;
    (void)::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

bool Virtiofsd::ended() {
    if (pid_ <= 0 || ::waitpid(pid_, nullptr, WNOHANG) != pid_) return false;
    pid_ = -1;
    return true;
}

std::string Virtiofsd::last_words() const {
    std::array<char, 4096> said{};
    const ssize_t n = ::read(output_.get(), said.data(), said.size());
    std::string last;
    for (const auto line : std::views::split(std::string_view(said.data(), static_cast<size_t>(std::max<ssize_t>(0, n))), '\n'))
        if (const std::string_view text(line); !text.empty()) last = text;
    return printable(last);
}

}  // namespace hostside

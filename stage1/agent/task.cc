#include "stage1/agent/task.h"

#include <fcntl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "mounts/boot/command_line.h"
#include "mounts/exec/request.h"
#include "mounts/protocol.h"
#include "stage1/agent/build.h"
#include "stage1/base/rollback_mark.h"
#include "stage1/nixdb/new_paths.h"

namespace stage1 {

namespace {

using base::Result;

int refuse(const base::Error &error) {
    (void)base::write_all(STDERR_FILENO, message(error) + "\n", "stderr");
    return 1;
}

Result<> copy(int from, int to, const std::string &name) {
    std::array<char, 65536> chunk;
    for (;;) {
        const ssize_t n = ::read(from, chunk.data(), chunk.size());
        if (n == 0) return {};
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return base::fail(errno, "read", name);
        if (auto written = base::write_all(to, {chunk.data(), static_cast<size_t>(n)}, name); !written) return written;
    }
}

Result<> get(const std::string &path) {
    auto file = base::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
    if (!file) return std::unexpected(file.error());
    struct stat st{};
    if (::fstat(file->get(), &st) < 0) return base::fail(errno, "stat", path);
    if (S_ISDIR(st.st_mode)) return base::fail(EISDIR, "read", path, "only one file at a time; copy a directory with tar");
    return copy(file->get(), STDOUT_FILENO, path);
}

// Writes a temporary file first, so that a reader sees either the old file or the whole new one.
Result<> put(std::string path, mode_t mode) {
    struct stat st{};
    if (::stat(path.c_str(), &st) == 0) {
        if (S_ISDIR(st.st_mode)) return base::fail(EISDIR, "write", path, "name the file in it");
        if (!S_ISREG(st.st_mode)) {
            auto file = base::open_at(AT_FDCWD, path, O_WRONLY);
            return file ? copy(STDIN_FILENO, file->get(), path) : std::unexpected(file.error());
        }
    }
    const std::string part = path + ".part";
    auto file = base::open_at(AT_FDCWD, part, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (!file && file.error().code == EEXIST)
        return base::fail(EEXIST, "copy to", path, "another copy is making " + part + ", or was killed; then remove it");
    if (!file) return base::fail(file.error().code, "copy to", path);
    auto copied = copy(STDIN_FILENO, file->get(), path);
    if (copied && (::fchmod(file->get(), mode) < 0 || ::rename(part.c_str(), path.c_str()) < 0))
        copied = base::fail(errno, "write", path);
    if (!copied) (void)::unlink(part.c_str());
    return copied;
}

bool has_systemd() { return ::access("/run/systemd/system", F_OK) == 0; }

std::string systemctl(std::vector<std::string> words) {
    words.insert(words.begin(), "systemctl");
    auto exit = base::run({.argv = std::move(words), .capture_output = true});
    if (!exit) return "";
    while (exit->output.ends_with('\n')) exit->output.pop_back();
    return exit->output;
}

// Whether the kernel's command line names a system of NixOS's store that lacks systemd. If that is unknown, it may still come.
bool never_has_systemd() {
    std::string init;
    for (const auto &parameter : mounts::parse_command_line(base::read_file("/proc/cmdline", 65536).value_or("")))
        if (parameter.name == "init") init = parameter.value.value_or("");
    const size_t slash = init.rfind('/');
    if (!init.starts_with(std::string(mounts::protocol::store_dir) + "/") || slash == mounts::protocol::store_dir.size())
        return false;
    // An agent in the initrd does not see the store.
    const std::string system = init.substr(0, slash);
    if (::access(system.c_str(), F_OK) < 0) return false;
    return std::ranges::all_of(std::array{"/systemd", "/prepare-root"},
                               [&](const char *name) { return ::access((system + name).c_str(), F_OK) < 0 && errno == ENOENT; });
}

// Waits until the unit is active or can no longer become active.
int wait_for(const std::string &unit) {
    for (;; (void)::usleep(200'000)) {
        if (!has_systemd() && never_has_systemd()) return refuse({"wait for", unit, 0, "the guest's system has no systemd"});
        if (!has_systemd()) continue;
        const std::string state = systemctl({"is-active", unit});
        if (state == "active") return 0;
        const std::string system = systemctl({"is-system-running"});
        const bool settled = system == "running" || system == "degraded" || system == "maintenance";
        if (state != "failed" && (!settled || state == "activating")) continue;
        if (systemctl({"is-active", unit}) == "active") return 0;
        const std::string failed = systemctl({"list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"});
        return refuse({"wait for", unit, 0, "it is " + state + ", the system is " + system + "; failed units:\n" + failed});
    }
}

// Leaves a root on a disk clean: the kernel makes it read-only even if files are open for writing.
void make_read_only() {
    constexpr int patience = 30;
    struct stat st{};
    struct statvfs root{};
    if (auto trigger = base::open_at(AT_FDCWD, "/proc/sysrq-trigger", O_WRONLY))
        (void)base::write_all(trigger->get(), "u", "sysrq");
    for (int i = 0; i < patience && ::stat("/", &st) == 0 && major(st.st_dev) != 0; ++i) {
        if (::statvfs("/", &root) < 0 || (root.f_flag & ST_RDONLY) != 0) return;
        (void)::usleep(100'000);
    }
}

int power_off() {
    ::sync();
    if (has_systemd()) {
        (void)::execlp("systemctl", "systemctl", "poweroff", nullptr);
        return refuse({"run", "systemctl", errno, ""});
    }
    make_read_only();
    (void)::reboot(RB_POWER_OFF);
    return refuse({"power off", "", errno, ""});
}

int tell(const Result<std::string> &text) {
    const auto told = text ? base::write_all(STDOUT_FILENO, *text, "stdout") : std::unexpected(text.error());
    return told ? 0 : refuse(told.error());
}

// An absent one has a status of its own: a builder that made no output.
int nar(const std::string &path, bool loosely) {
    struct stat st{};
    if (::lstat(path.c_str(), &st) < 0 && errno == ENOENT) return mounts::exec::absent_status;
    const auto sent = send_nar(path, loosely);
    return sent ? 0 : refuse(sent.error());
}

// "build-begin USER OUTPUTS", "build-end USER PLACE"
int build(const std::string &verb, const std::string &rest) {
    const size_t blank = std::min(rest.find(' '), rest.size());
    const std::string user = rest.substr(0, blank), what = rest.substr(std::min(blank + 1, rest.size()));
    const std::string name = user == "-" ? "" : user;
    const auto done = verb == "build-begin" ? begin_build(name, what)
                      : verb == "build-end" ? end_build(name, what)
                                            : base::fail(0, "do", verb, "this agent does not know it");
    return done ? 0 : refuse(done.error());
}

}  // namespace

int do_task(const std::string &task) {
    const size_t blank = task.find(' ');
    const std::string verb = task.substr(0, blank), rest = blank == std::string::npos ? "" : task.substr(blank + 1);
    if (verb == "power-off") return power_off();
    if (verb == "answer") return 0;
    if (verb == "sync") return ::sync(), 0;
    if (verb == "wait-for") return wait_for(rest);
    if (verb == "store-new") return tell(nixdb::registration_of_new_paths("/"));
    if (verb == "store-rollback") return tell(ask_for_rollback("/"));
    if (verb == "nar" || verb == "nar-loosely") return nar(rest, verb != "nar");
    if (verb.starts_with("build-")) return build(verb, rest);
    Result<> done = base::fail(0, "do", verb, "this agent does not know it; is the guest's stage1 an older one?");
    if (verb == "get") done = get(rest);
    // "put MODE FILE", the mode in octal
    if (const size_t end = rest.find(' '); verb == "put" && end != std::string::npos)
        done = put(rest.substr(end + 1), static_cast<mode_t>(std::strtoul(rest.c_str(), nullptr, 8)) & 0777);
    return done ? 0 : refuse(done.error());
}

}  // namespace stage1

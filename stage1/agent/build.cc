#include "stage1/agent/build.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <format>

#include "mounts/base/at.h"
#include "mounts/nix/nar.h"
#include "mounts/nix/registration.h"
#include "mounts/nix/sha256.h"
#include "mounts/protocol.h"

namespace stage1 {

namespace {

using base::fail;
using base::Result;

// Sets the mode that Nix sets for its build users (libstore, LocalStore): the group may add entries and remove its own.
Result<> open_store(const BuildUser &user) {
    const std::string store(mounts::protocol::store_dir);
    constexpr mode_t mode = 01775;
    struct stat st{};
    if (::stat(store.c_str(), &st) < 0) return fail(errno, "stat", store);
    if (::access(store.c_str(), W_OK) < 0)
        return fail(errno, "write", store, "a build needs a store that the guest can add to: --union tmpfs or disk");
    if (user.uid == 0 || (st.st_gid == user.gid && (st.st_mode & 07777) == mode)) return {};
    if (::chown(store.c_str(), st.st_uid, user.gid) < 0 || ::chmod(store.c_str(), mode) < 0)
        return fail(errno, "open to the build user", store);
    return {};
}

Result<> remove_outputs(const std::string &outputs) {
    for (size_t at = 0; at < outputs.size();) {
        const size_t end = std::min(outputs.find(' ', at), outputs.size());
        const std::string path = outputs.substr(at, end - at);
        at = end + 1;
        if (const auto fault = mounts::store_path_fault(path); !fault.empty()) return fail(0, "remove", path, fault);
        std::error_code error;
        std::filesystem::remove_all(path, error);
        if (error) return fail(error.value(), "remove", path, "an output is there already");
    }
    return {};
}

// Uses the name that Nix uses in its sandbox if it is free. On a reused disk an interrupted build may have left it.
Result<std::string> make_place(const BuildUser &user) {
    constexpr int most = 1000;
    for (int i = 1; i <= most; ++i) {
        std::string place = i == 1 ? "/build" : std::format("/build-{}", i);
        if (::mkdir(place.c_str(), 0700) < 0) {
            if (errno == EEXIST) continue;
            return fail(errno, "mkdir", place);
        }
        if (::chown(place.c_str(), user.uid, user.gid) < 0) return fail(errno, "chown", place);
        return place;
    }
    return fail(EEXIST, "mkdir", "/build", "a thousand builds are left in this guest's root; remove /build-*");
}

// Kills every process of the build's user, as Nix does after each build. Never kills root's processes.
Result<> kill_all_of(const BuildUser &user) {
    if (user.uid == 0) return {};
    const pid_t pid = ::fork();
    if (pid < 0) return fail(errno, "fork", "");
    if (pid == 0) {
        if (::setuid(user.uid) < 0) ::_exit(1);
        // Repeats until there is none, because zombies count until somebody waits for them.
        constexpr int tries = 100, pause_us = 20'000;
        for (int i = 0; i < tries && ::kill(-1, SIGKILL) == 0; ++i) (void)::usleep(pause_us);
        ::_exit(0);
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status == 0 ? Result<>() : fail(0, "end", "processes", "those that the build left could not be ended");
}

// The same threshold as in Nix (libstore, cleanupDecideFailure).
bool nearly_full(const std::string &path) {
    constexpr uint64_t little_bytes = uint64_t{8} << 20;
    struct statvfs fs{};
    return ::statvfs(path.c_str(), &fs) == 0 && fs.f_blocks != 0 && uint64_t{fs.f_bavail} * fs.f_frsize < little_bytes;
}

}  // namespace

Result<BuildUser> build_user(const std::string &user) {
    constexpr BuildUser of_nixos{30001, 30000};  // nixos/modules/misc/ids.nix
    errno = 0;
    const passwd *entry = ::getpwnam(user.empty() ? "nixbld1" : user.c_str());
    if (entry != nullptr) return BuildUser{entry->pw_uid, entry->pw_gid};
    if (user == "root") return BuildUser{};
    return user.empty() ? Result<BuildUser>(of_nixos) : fail(errno, "find user", user, "the guest has no such user");
}

Result<> begin_build(const std::string &user, const std::string &outputs) {
    const auto who = build_user(user);
    if (!who) return std::unexpected(who.error());
    if (auto done = open_store(*who); !done) return done;
    if (auto done = remove_outputs(outputs); !done) return done;
    auto place = make_place(*who);
    return place ? base::write_all(STDOUT_FILENO, *place + "\n", "stdout") : std::unexpected(place.error());
}

Result<> end_build(const std::string &user, const std::string &place) {
    const auto who = build_user(user);
    if (!who) return std::unexpected(who.error());
    if (auto done = kill_all_of(*who); !done) return done;
    ::sync();
    std::string full;
    for (const std::string &path : {std::string(mounts::protocol::store_dir), place})
        if (nearly_full(path)) full += (full.empty() ? "" : " and ") + path;
    return base::write_all(STDOUT_FILENO, full, "stdout");
}

Result<> send_nar(const std::string &path, bool others) {
    constexpr size_t chunk_bytes = 65536;
    mounts::Sha256Stream hash;
    std::string chunk;
    Result<> sent;
    const auto send = [&] {
        if (sent) sent = base::write_all(STDOUT_FILENO, chunk, "stdout");
        hash.add(chunk);
        chunk.clear();
    };
    const auto take = [&](std::string_view bytes) {
        chunk += bytes;
        if (chunk.size() >= chunk_bytes) send();
    };
    if (auto written = mounts::write_nar(path, take, others ? mounts::Others::left_out : mounts::Others::refused); !written)
        return written;
    send();
    return sent ? base::write_all(STDOUT_FILENO, mounts::nix32(hash.finish()) + "\n", "stdout") : sent;
}

}  // namespace stage1

#include "hostside/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <thread>

#include "hostside/guest_folder.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

long holder_of(int lock) {
    (void)::lseek(lock, 0, SEEK_SET);
    auto text = base::read_all(lock, "lock", 64);
    return text ? std::strtol(text->c_str(), nullptr, 10) : 0;
}

Result<> private_folder(const std::string &path) {
    if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST) return fail(errno, "mkdir", path);
    struct stat st{};
    if (::lstat(path.c_str(), &st) < 0) return fail(errno, "stat", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != ::geteuid() || (st.st_mode & 077) != 0)
        return fail(0, "use", path, "must be a folder of yours with mode 0700; remove it, or set XDG_RUNTIME_DIR");
    return {};
}

// What a killed launcher left: a folder whose lock nobody holds.
void sweep_abandoned(const std::string &parent) {
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(parent, error)) {
        if (!entry.is_directory(error)) continue;
        auto lock = base::open_at(AT_FDCWD, entry.path().string() + ".lock", O_RDWR | O_NOFOLLOW);
        if (lock && ::flock(lock->get(), LOCK_EX | LOCK_NB) < 0) continue;
        (void)remove_guest_folder(entry.path());  // the next start tries again
    }
}

}  // namespace

Result<std::string> runtime_folder() {
    const char *runtime = std::getenv("XDG_RUNTIME_DIR");
    const std::string path =
        runtime != nullptr && *runtime == '/' ? std::string(runtime) + "/runvm" : std::format("/tmp/runvm-{}", ::geteuid());
    if (auto made = private_folder(path); !made) return std::unexpected(made.error());
    return path;
}

Result<base::Fd> lock_file(const std::string &path, const std::string &what) {
    // Others hold it for a moment while they look who runs; and a lock that went away while we opened it locks nothing.
    constexpr int tries = 5;
    constexpr auto pause = std::chrono::milliseconds(5);
    for (int i = 0;; ++i) {
        auto lock = base::open_at(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
        if (!lock) return lock;
        struct stat st{};
        if (::flock(lock->get(), LOCK_EX | LOCK_NB) == 0) {
            if (::fstat(lock->get(), &st) == 0 && st.st_nlink > 0) return lock;
        } else if (errno != EWOULDBLOCK) {
            return fail(errno, "lock", path);
        } else if (i >= tries) {
            return fail(0, "lock", what,
                        std::format("in use by the runvm with pid {}; stop that one, or use another", holder_of(lock->get())));
        } else {
            std::this_thread::sleep_for(pause);
        }
    }
}

Result<RunFolder> RunFolder::create(const std::string &name, bool another) {
    if (name.empty() || name.starts_with('.') || name.find('/') != std::string::npos)
        return fail(0, "use name", name, "a machine's name is not empty, has no '/' and does not begin with '.'");
    auto parent = runtime_folder();
    if (!parent) return std::unexpected(parent.error());
    sweep_abandoned(*parent);
    constexpr int most_of_one_name = 100;
    std::string path = *parent + "/" + name;
    auto lock = lock_file(path + ".lock", "machine " + name);
    for (int n = 2; !lock && another && n < most_of_one_name; ++n) {
        path = std::format("{}/{}-{}", *parent, name, n);
        lock = lock_file(path + ".lock", "machine " + name);
    }
    if (!lock) return std::unexpected(lock.error());
    if (auto swept = remove_guest_folder(path); !swept) return std::unexpected(swept.error());
    if (auto made = private_folder(path); !made) return std::unexpected(made.error());
    RunFolder folder(path, std::move(*lock));
    if (auto wrote = folder.write_holder(); !wrote) return std::unexpected(wrote.error());
    return folder;
}

Result<> RunFolder::write_holder() const {
    if (::ftruncate(lock_.get(), 0) < 0 || ::lseek(lock_.get(), 0, SEEK_SET) < 0) return fail(errno, "write", path_ + ".lock");
    return base::write_all(lock_.get(), std::format("{}\n", ::getpid()), path_ + ".lock");
}

RunFolder::~RunFolder() {
    if (!lock_) return;
    (void)remove_guest_folder(path_);  // the next start tries again
    (void)::unlink((path_ + ".lock").c_str());
}

Result<std::vector<Running>> running_machines() {
    auto parent = runtime_folder();
    if (!parent) return std::unexpected(parent.error());
    std::vector<Running> result;
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(*parent, error)) {
        if (!entry.is_directory(error)) continue;
        auto lock = base::open_at(AT_FDCWD, entry.path().string() + ".lock", O_RDWR | O_NOFOLLOW);
        if (!lock || ::flock(lock->get(), LOCK_EX | LOCK_NB) == 0) continue;
        result.push_back({entry.path().filename(), entry.path(), holder_of(lock->get())});
    }
    std::ranges::sort(result, {}, &Running::name);
    return result;
}

}  // namespace hostside

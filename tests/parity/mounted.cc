#include "tests/parity/mounted.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <csignal>
#include <format>
#include <fstream>

#include "tests/parity/place.h"
#include "tests/support/rings.h"

namespace parity {

namespace fs = std::filesystem;

Traffic traffic_of(pid_t pid) {
    Traffic found;
    std::string word;
    std::ifstream file(std::format("/proc/{}/io", pid));
    while (file >> word) {
        if (word == "rchar:") file >> found.read;
        if (word == "wchar:") file >> found.written;
    }
    return found;
}

Mounted::Mounted(std::string_view mode, uint64_t room_bytes, const std::string &kind) : mode_(mode) {
    char name[] = "/tmp/mounted-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    base_ = name;
    REQUIRE(::mount("mounted", name, "tmpfs", 0, "mode=755") == 0);
    for (const char *directory : {"ours", "kernel", "lower", "disk"}) fs::create_directory(base_ / directory);
    disk_.emplace(base_ / "disk", kind, room_bytes);
    for (const char *directory : {"upper", "work"}) {
        fs::create_directory(base_ / "disk" / directory);
        fs::create_directory_symlink(base_ / "disk" / directory, base_ / directory);
    }
}

Mounted::~Mounted() {
    if (supervisor_ > 0) {
        ::umount2(root().c_str(), MNT_DETACH);
        ::kill(supervisor_, SIGTERM);  // on a busy host it may mount only now
        end();
    }
    ::umount2((base_ / "kernel").c_str(), MNT_DETACH);
    disk_.reset();
    ::umount2(base_.c_str(), MNT_DETACH);
    ::rmdir(base_.c_str());
}

std::string Mounted::layers() const {
    return std::format("lowerdir={0}/lower,upperdir={0}/disk/upper,workdir={0}/disk/work", base_.string());
}

void Mounted::mount(const std::string &more_options, bool rings) {
    const std::string options =
        std::format("allow_other,mode={},{}{}{}", mode_, layers(), more_options.empty() ? "" : ",", more_options);
    const std::string executable = program();
    std::optional<support::Rings> answer;
    if (mode_.contains("io_uring=on")) answer.emplace(rings);
    supervisor_ = ::fork();
    if (supervisor_ == 0) {
        const int said = ::open((base_ / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(said, STDERR_FILENO);
        ::close(said);
        ::execl(executable.c_str(), "unionfs", "-f", "-o", options.c_str(), root().c_str(), nullptr);
        ::_exit(127);
    }
    struct stat below{}, at{};
    ::stat(root().parent_path().c_str(), &below);
    for (int i = 0; i < 6000 && (::stat(root().c_str(), &at) != 0 || at.st_dev == below.st_dev); ++i) ::usleep(10000);
    REQUIRE(at.st_dev != below.st_dev);
}

fs::path Mounted::mount_beside_plain(const std::function<void(const fs::path &)> &populate) {
    const fs::path plain = base_ / "plain";
    fs::create_directory(plain);
    populate(lower());
    populate(plain);
    mount();
    return plain;
}

int Mounted::end() {
    int status = 0;
    ::waitpid(supervisor_, &status, 0);
    supervisor_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int Mounted::unmount() {
    if (::umount2(root().c_str(), 0) < 0) return -errno;
    return end();
}

pid_t Mounted::worker() const {
    pid_t pid = 0;
    std::ifstream(std::format("/proc/{0}/task/{0}/children", supervisor_)) >> pid;
    return pid;
}

std::string Mounted::log() const {
    std::ifstream file(base_ / "log");
    return {(std::istreambuf_iterator<char>(file)), {}};
}

}  // namespace parity

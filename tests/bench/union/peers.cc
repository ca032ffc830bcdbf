#include "tests/bench/union/peers.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <map>
#include <print>

namespace bench {

namespace fs = std::filesystem;

int run(std::vector<std::string> argv) {
    const int said = ::memfd_create("stderr", MFD_CLOEXEC);  // some warn at each mount
    const pid_t child = ::fork();
    if (child == 0) {
        std::vector<char *> words;
        for (std::string &word : argv) words.push_back(word.data());
        words.push_back(nullptr);
        const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
        ::dup2(null, 1);
        ::dup2(said, 2);
        ::execvp(words[0], words.data());
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    off_t at = 0;
    while (status != 0 && ::sendfile(2, said, &at, 65536) > 0) continue;
    ::close(said);
    return status;
}

void need(bool ok, const std::string &what) {
    if (ok) return;
    std::println(stderr, "bench: {}: {}", what, std::strerror(errno));
    std::exit(1);
}

std::vector<Peer> known_peers(const std::string &program) {
    const std::string layers = "lowerdir=@L,upperdir=@U,workdir=@W";
    return {{"overlayfs", {"mount", "-t", "overlay", "overlay", "-o", layers, "@M"}},
            {"store", {program, "-o", "allow_other,mode=store," + layers, "@M"}, true},
            {"io_uring", {program, "-o", "allow_other,mode=store,io_uring=on," + layers, "@M"}, true},
            {"throughput", {program, "-o", "allow_other,mode=throughput," + layers, "@M"}, true},
            {"stale_readers", {program, "-o", "allow_other,mode=throughput,stale_readers," + layers, "@M"}, true},
            {"fuse-overlayfs", {"fuse-overlayfs", "-o", "allow_other," + layers, "@M"}},
            {"unionfs-fuse", {"unionfs", "-o", "allow_other,cow,nonempty", "@U=RW:@L=RO", "@M"}}};
}

Peer peer_of(const std::string &word) {
    const size_t equals = word.find('=');
    return {word.substr(0, equals), {word.substr(equals + 1), "-o", "allow_other,lowerdir=@L,upperdir=@U,workdir=@W", "@M"}};
}

Mounted::Mounted(Peer given, fs::path base, fs::path lower)
    : peer(std::move(given)), base_(std::move(base)), lower_(std::move(lower)) {
    for (const char *part : {"upper", "work", "mount"}) fs::create_directories(base_ / part);
    mount();
}

Mounted::~Mounted() {
    unmount();
    std::error_code error;
    fs::remove_all(base_, error);
    if (error) std::println(stderr, "bench: {}: {}, ignoring", base_.string(), error.message());
}

void Mounted::again() {
    need(::chdir("/") == 0, "chdir");
    unmount();
    mount();
    need(::chdir(point().c_str()) == 0, "chdir");
}

void Mounted::mount() {
    const std::map<std::string, std::string> places{
        {"@L", lower_}, {"@U", base_ / "upper"}, {"@W", base_ / "work"}, {"@M", base_ / "mount"}};
    std::vector<std::string> argv;
    for (std::string word : peer.argv) {
        for (const auto &[mark, value] : places)
            for (size_t at = word.find(mark); at != std::string::npos; at = word.find(mark)) word.replace(at, 2, value);
        argv.push_back(word);
    }
    need(run(argv) == 0, "mount of " + peer.name);
    struct stat beneath{}, mounted{};
    need(::stat(base_.c_str(), &beneath) == 0, base_);
    // Some return before they have mounted.
    for (int i = 0; i < 500 && ::stat(point().c_str(), &mounted) == 0 && mounted.st_dev == beneath.st_dev; ++i) ::usleep(10000);
    need(mounted.st_dev != beneath.st_dev, "mount of " + peer.name);
}

void Mounted::unmount() {
    need(::chdir("/") == 0, "chdir");
    int result = -1;
    for (int i = 0; i < 500 && (result = ::umount2(point().c_str(), 0)) < 0 && errno == EBUSY; ++i) ::usleep(20000);
    need(result == 0, "umount of " + peer.name);
    // Some daemons unmount once more when they end, and that would be the next mount.
    for (int i = 0; i < 500 && daemon().threads > 0; ++i) ::usleep(5000);
}

// They have the mount point in their command line.
std::vector<pid_t> Mounted::processes() const {
    std::vector<pid_t> found;
    for (const auto &process : fs::directory_iterator("/proc")) {
        std::ifstream file(process.path() / "cmdline");
        const std::string line{std::istreambuf_iterator<char>(file), {}};
        if (line.find(point().string()) != std::string::npos) found.push_back(std::atoi(process.path().filename().c_str()));
    }
    return found;
}

double Mounted::daemon_seconds() const {
    double seconds = 0;
    for (const pid_t process : processes()) {
        clockid_t clock = 0;
        timespec spent{};
        if (::clock_getcpuclockid(process, &clock) == 0 && ::clock_gettime(clock, &spent) == 0)
            seconds += static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
    }
    return seconds;
}

Daemon Mounted::daemon() const {
    Daemon cost;
    for (const pid_t pid : processes()) {
        const fs::path process = "/proc/" + std::to_string(pid);
        std::ifstream status(process / "status");
        for (std::string word; status >> word;) {
            double value = 0;
            if (word == "VmHWM:" && status >> value) cost.peak_mebibytes += value / 1024;
            if (word == "Threads:" && status >> value) cost.threads += value;
        }
        std::error_code gone;
        double open = 0;
        for (fs::directory_iterator fd(process / "fd", gone), end; !gone && fd != end; fd.increment(gone)) ++open;
        cost.descriptors = std::max(cost.descriptors, open);  // ours share one table
    }
    return cost;
}

}  // namespace bench

// The union's benchmark: the same work on overlayfs, on ours in both modes, and on the other unions in user space, in
// interleaved rounds; the cost of each row is told relative to overlayfs in the same run. Needs root.
//
// usage: union [--upper DIR] [--rounds N] [--packages N] OUTPUT.json      DIR: where uppers lie; default a new tmpfs

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <format>
#include <fstream>
#include <functional>
#include <map>
#include <print>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int files_a_package = 60;

struct Peer {
    std::string name;
    std::vector<std::string> argv;  // @L @U @W @M stand for lower, upper, work, mount point
};

const std::vector<Peer> peers{
    {"overlayfs", {"mount", "-t", "overlay", "overlay", "-o", "lowerdir=@L,upperdir=@U,workdir=@W", "@M"}},
    {"store", {"build/unionfs", "-o", "allow_other,mode=store,lowerdir=@L,upperdir=@U,workdir=@W", "@M"}},
    {"throughput", {"build/unionfs", "-o", "allow_other,mode=throughput,lowerdir=@L,upperdir=@U,workdir=@W", "@M"}},
    {"fuse-overlayfs", {"fuse-overlayfs", "-o", "allow_other,lowerdir=@L,upperdir=@U,workdir=@W", "@M"}},
    {"unionfs-fuse", {"unionfs", "-o", "allow_other,cow,nonempty", "@U=RW:@L=RO", "@M"}},
};

int run(std::vector<std::string> argv) {
    const pid_t child = ::fork();
    if (child == 0) {
        std::vector<char *> words;
        for (std::string &word : argv) words.push_back(word.data());
        words.push_back(nullptr);
        const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
        ::dup2(null, 1);
        ::execvp(words[0], words.data());
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

void need(bool ok, const std::string &what) {
    if (ok) return;
    std::println(stderr, "bench: {}: {}", what, std::strerror(errno));
    std::exit(1);
}

void write_file(const std::string &path, size_t size) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    need(fd >= 0, path);
    const std::string block(std::min<size_t>(size, 1 << 20), 'x');
    for (size_t at = 0; at < size; at += block.size())
        need(::write(fd, block.data(), std::min(block.size(), size - at)) > 0, path);
    ::close(fd);
}

// A tree like a store: packages of folders with files of a few sizes, and one file of 64 MiB.
std::vector<std::string> make_lower(const fs::path &lower, int packages) {
    std::vector<std::string> files;
    for (int package = 0; package < packages; ++package)
        for (int file = 0; file < files_a_package; ++file) {
            const std::string folder = std::format("package-{}/share/part-{}", package, file % 6);
            fs::create_directories(lower / folder);
            files.push_back(std::format("{}/file-{}", folder, file));
            write_file(lower / files.back(), 300U << (file % 8));
        }
    write_file(lower / "big", size_t{64} << 20);
    return files;
}

struct Timer {
    Clock::time_point start = Clock::now();
    [[nodiscard]] double seconds() const { return std::chrono::duration<double>(Clock::now() - start).count(); }
};

struct Bench {
    fs::path base, lower;
    std::vector<std::string> files;
    std::map<std::string, std::map<std::string, std::vector<double>>> times;  // row, peer
    std::vector<std::string> rows;

    std::string place(const Peer &peer, const char *part) const { return base / (peer.name + "-" + part); }

    void mount(const Peer &peer) const {
        std::vector<std::string> argv;
        for (std::string word : peer.argv) {
            for (const auto &[mark, value] : std::map<std::string, std::string>{
                     {"@L", lower}, {"@U", place(peer, "upper")}, {"@W", place(peer, "work")}, {"@M", place(peer, "mount")}})
                for (size_t at = word.find(mark); at != std::string::npos; at = word.find(mark)) word.replace(at, 2, value);
            argv.push_back(word);
        }
        need(run(argv) == 0, "mount of " + peer.name);
    }
    void unmount(const Peer &peer) const {
        for (int i = 0; i < 50 && ::umount2(place(peer, "mount").c_str(), 0) < 0; ++i) ::usleep(20000);
    }
    void measure(const Peer &peer, const std::string &row, const std::function<void()> &work) {
        if (!std::ranges::contains(rows, row)) rows.push_back(row);
        const Timer timer;
        work();
        times[row][peer.name].push_back(timer.seconds());
    }
    // Twice on a fresh mount: with nothing in the kernel's caches of it, and again.
    void cold_and_warm(const Peer &peer, const std::string &row, const std::function<void()> &work) {
        unmount(peer);
        mount(peer);
        need(::chdir(place(peer, "mount").c_str()) == 0, "chdir");
        measure(peer, row + ", cold", work);
        measure(peer, row + ", warm", work);
        need(::chdir("/") == 0, "chdir");
    }
    void readers(const Peer &peer);
    void writers(const Peer &peer);
    void changers(const Peer &peer);
};

void read_file(const char *path, std::vector<char> &buffer) {
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    need(fd >= 0, path);
    while (::read(fd, buffer.data(), buffer.size()) > 0) continue;
    ::close(fd);
}

size_t find(const std::string &path, bool with_stat) {
    size_t count = 0;
    DIR *entries = ::opendir(path.c_str());
    need(entries != nullptr, path);
    while (const dirent *entry = ::readdir(entries)) {
        if (entry->d_name[0] == '.') continue;
        ++count;
        struct stat status{};
        if (with_stat) (void)::fstatat(::dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW);
        if (entry->d_type == DT_DIR) count += find(path + "/" + entry->d_name, with_stat);
    }
    ::closedir(entries);
    return count;
}

void Bench::readers(const Peer &peer) {
    std::vector<char> buffer(1 << 20);
    struct stat status{};
    cold_and_warm(peer, "stat", [&] {
        for (const auto &file : files) need(::stat(file.c_str(), &status) == 0, file);
    });
    cold_and_warm(peer, "missing name", [&] {
        for (size_t i = 0; i < files.size(); i += 4) (void)::stat((files[i] + "-none").c_str(), &status);
    });
    cold_and_warm(peer, "find", [&] { find(".", false); });
    cold_and_warm(peer, "find + stat", [&] { find(".", true); });
    cold_and_warm(peer, "open + close", [&] {
        for (const auto &file : files) ::close(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    });
    cold_and_warm(peer, "read all small files", [&] {
        for (const auto &file : files) read_file(file.c_str(), buffer);
    });
    cold_and_warm(peer, "tar of the tree", [&] { need(run({"tar", "cf", "-", "."}) == 0, "tar"); });
    cold_and_warm(peer, "sequential read 1 MiB", [&] { read_file("big", buffer); });
    cold_and_warm(peer, "random 4 KiB read", [&] {
        const int fd = ::open("big", O_RDONLY | O_CLOEXEC);
        for (unsigned i = 0, at = 1; i < 4000; ++i, at = at * 1103515245 + 12345)
            (void)!::pread(fd, buffer.data(), 4096, (at >> 4) % 16384 * 4096);
        ::close(fd);
    });
    cold_and_warm(peer, "mmap read", [&] {
        const int fd = ::open("big", O_RDONLY | O_CLOEXEC);
        auto *bytes = static_cast<volatile char *>(::mmap(nullptr, size_t{64} << 20, PROT_READ, MAP_SHARED, fd, 0));
        for (size_t at = 0; at < size_t{64} << 20; at += 4096) (void)bytes[at];
        ::munmap(const_cast<char *>(bytes), size_t{64} << 20);
        ::close(fd);
    });
}

void Bench::writers(const Peer &peer) {
    const std::string block(1 << 20, 'w');
    for (const size_t size : {size_t{4096}, size_t{131072}, size_t{1048576}})
        measure(peer, std::format("write {} KiB blocks", size / 1024), [&] {
            const int fd = ::open("written", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
            for (size_t at = 0; at < size_t{32} << 20; at += size) need(::write(fd, block.data(), size) > 0, "write");
            ::close(fd);
        });
    (void)::mkdir("made", 0755);
    const auto each = [](int count, const auto &work) {
        for (int i = 0; i < count; ++i) work(std::format("made/{}", i));
    };
    measure(peer, "create", [&] {
        each(4000, [](const std::string &name) { ::close(::open(name.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644)); });
    });
    measure(peer, "rename in the upper",
            [&] { each(1000, [](const std::string &name) { need(::rename(name.c_str(), (name + "r").c_str()) == 0, name); }); });
    measure(peer, "unlink", [&] {
        each(4000, [](const std::string &name) {
            if (::unlink(name.c_str()) != 0) ::unlink((name + "r").c_str());
        });
    });
}

void Bench::changers(const Peer &peer) {
    measure(peer, "copy-up of 64 MB", [&] {
        ::close(::open("big", O_WRONLY | O_CLOEXEC));
        (void)::chmod("big", 0600);
    });
    measure(peer, "copy-up of 1,000 small files", [&] {
        for (size_t i = 0; i < 1000 && i < files.size(); ++i) {
            const int fd = ::open(files[i].c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
            need(::write(fd, "x", 1) == 1, files[i]);
            ::close(fd);
        }
    });
    measure(peer, "chmod of 1,000 lower files", [&] {
        for (size_t i = 1000; i < 2000 && i < files.size(); ++i) (void)::chmod(files[i].c_str(), 0600);
    });
    measure(peer, "rename of 1,000 lower files", [&] {
        for (size_t i = 2000; i < 3000 && i < files.size(); ++i)
            need(::rename(files[i].c_str(), (files[i] + "r").c_str()) == 0, files[i]);
    });
    measure(peer, "cp -a", [&] { need(run({"cp", "-a", "package-1", "package-2", "package-3", "made"}) == 0, "cp"); });
    measure(peer, "rm -rf of the copy", [&] { need(run({"rm", "-rf", "made"}) == 0, "rm"); });
    measure(peer, "rm -r of a merged tree",
            [&] { need(run({"rm", "-rf", "package-50", "package-51", "package-52", "package-53", "package-54"}) == 0, "rm"); });
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values.empty() ? 0 : values[values.size() / 2];
}

void print_table(const Bench &bench, const std::string &output) {
    std::print("{:<32}{:>12}", "row", "overlayfs ms");
    for (size_t i = 1; i < peers.size(); ++i) std::print("{:>15}", peers[i].name);
    std::println("");
    std::ofstream json(output);
    json << "{\"rows\":[";
    for (size_t row = 0; row < bench.rows.size(); ++row) {
        const auto &times = bench.times.at(bench.rows[row]);
        const double base = median(times.at("overlayfs"));
        std::print("{:<32}{:>12.2f}", bench.rows[row], base * 1000);
        json << (row != 0 ? "," : "") << std::format("\n{{\"row\":\"{}\",\"overlayfs_seconds\":{:.6f}", bench.rows[row], base);
        for (size_t i = 1; i < peers.size(); ++i) {
            const double ratio = median(times.at(peers[i].name)) / base;
            std::print("{:>15.2f}", ratio);
            json << std::format(",\"{}\":{:.3f}", peers[i].name, ratio);
        }
        json << "}";
        std::println("");
    }
    json << "\n]}\n";
}

}  // namespace

int main(int argc, char **argv) {
    std::string upper, output;
    int rounds = 3, packages = 100;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--upper" && i + 1 < argc)
            upper = argv[++i];
        else if (word == "--rounds" && i + 1 < argc)
            rounds = std::stoi(argv[++i]);
        else if (word == "--packages" && i + 1 < argc)
            packages = std::stoi(argv[++i]);
        else
            output = word;
    }
    if (::geteuid() != 0) {
        std::println(stderr, "bench: needs root, for it mounts");
        return 1;
    }
    need(::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "mount namespace");
    const fs::path program = fs::absolute("build/unionfs");
    const fs::path report = fs::absolute(output);
    char name[] = "/tmp/bench-union-XXXXXX";
    need(::mkdtemp(name) != nullptr, name);
    need(::mount("bench", name, "tmpfs", 0, "size=80%") == 0, "tmpfs");
    Bench bench{.base = upper.empty() ? fs::path(name) / "peers" : fs::path(upper) / "bench-union",
                .lower = fs::path(name) / "lower"};
    bench.files = make_lower(bench.lower, packages);
    for (int round = 0; round < rounds; ++round)
        for (Peer peer : peers) {
            if (peer.argv[0] == "build/unionfs") peer.argv[0] = program;
            for (const char *part : {"upper", "work", "mount"}) fs::create_directories(bench.place(peer, part));
            bench.mount(peer);
            bench.readers(peer);
            need(::chdir(bench.place(peer, "mount").c_str()) == 0, "chdir");
            bench.writers(peer);
            bench.changers(peer);
            need(::chdir("/") == 0, "chdir");
            bench.unmount(peer);
            for (const char *part : {"upper", "work"}) fs::remove_all(bench.place(peer, part));
        }
    print_table(bench, report);
    if (!upper.empty()) fs::remove_all(bench.base);
    ::umount2(name, MNT_DETACH);
    ::rmdir(name);
    return 0;
}

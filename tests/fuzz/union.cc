// Differential fuzzer of the union: random sequences of operations on our mount and on overlayfs (with its index of hard
// links) over the same lower; each result and, at the end of a sequence, the whole tree must be the same. Now and then both
// are mounted anew. A difference is shrunk to the fewest
// operations that still show it and printed as a line that `--replay` takes. Needs root.
//
// usage: union [--backing tmpfs|ext4] [--mode store|throughput[,OPTION...]] [--seconds N] [--seed N] | --replay "OP OP …"
// An OP is kind:name:name:value. The backing is what the layers lie on.

#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <format>
#include <fstream>
#include <print>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/backing.h"

namespace {

namespace fs = std::filesystem;

struct Operation {
    unsigned kind, from, to, value;
};
using Sequence = std::vector<Operation>;

constexpr const char *names[] = {"a", "b", "d", "e", "d/a", "d/b", "d/e", "e/a", "e/d", "d/e/a", "d/e/b", "e/d/a"};
constexpr unsigned name_count = std::size(names);
constexpr unsigned kind_count = 16;
constexpr unsigned remount = 15;

long overwrite(const char *name, int flags, unsigned value) {
    const int fd = ::open(name, flags | O_CLOEXEC, 0644);
    if (fd < 0) return -1;
    const std::string data(value % 5000, static_cast<char>('a' + value % 26));
    const long n = ::write(fd, data.data(), data.size());
    ::close(fd);
    return n;
}

long apply(const Operation &operation) {
    const char *from = names[operation.from], *to = names[operation.to];
    switch (operation.kind) {
    case 0: return ::mkdir(from, 0700 + operation.value % 64);
    case 1: return ::rmdir(from);
    case 2: return ::unlink(from);
    case 3:
    case 4: return ::rename(from, to);
    case 5: return ::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE);
    case 6: return ::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
    case 7: return ::link(from, to);
    case 8: return ::symlink(to, from);
    case 9: return overwrite(from, O_WRONLY | O_CREAT, operation.value);
    case 10: return overwrite(from, O_WRONLY | O_APPEND, operation.value);
    case 11: return overwrite(from, O_WRONLY | O_CREAT | O_EXCL, operation.value);
    case 12: return ::truncate(from, operation.value % 9000);
    case 13: return ::chmod(from, 0700 + operation.value % 64);
    default: return ::setxattr(from, "user.fuzz", "x", 1, 0);
    }
}

std::string tree(const fs::path &root, const fs::path &path) {
    std::vector<fs::path> entries;
    for (const auto &entry : fs::directory_iterator(path)) entries.push_back(entry.path());
    std::ranges::sort(entries);
    std::string text;
    for (const fs::path &entry : entries) {
        struct stat status{};
        ::lstat(entry.c_str(), &status);
        text += std::format("{} {:o}", entry.lexically_relative(root).string(), status.st_mode);
        if (S_ISREG(status.st_mode)) {
            std::ifstream file(entry, std::ios::binary);
            text +=
                std::format(" {} {:x}", status.st_nlink, std::hash<std::string>{}({std::istreambuf_iterator<char>(file), {}}));
        }
        text += S_ISLNK(status.st_mode) ? " " + fs::read_symlink(entry).string() + "\n" : "\n";
        if (S_ISDIR(status.st_mode)) text += tree(root, entry);
    }
    return text;
}

struct Machine {
    fs::path base, program;
    std::string mode = "store", backing = "tmpfs";

    void prepare() const {
        for (const char *part : {"ours", "kernel", "lower", "ours-upper", "ours-work", "kernel-upper", "kernel-work"}) {
            fs::remove_all(base / part);
            fs::create_directories(base / part);
        }
        fs::create_directories(base / "lower/d/e");
        fs::create_directories(base / "lower/e");
        for (const char *name : {"a", "d/a", "d/b", "d/e/a", "e/a"})
            std::ofstream(base / "lower" / name) << name << " of the lower";
        fs::create_hard_link(base / "lower/a", base / "lower/b");
        fs::create_hard_link(base / "lower/d/b", base / "lower/d/e/b");
    }
    [[nodiscard]] std::string layers(const char *who) const {
        return std::format("lowerdir={0}/lower,upperdir={0}/{1}-upper,workdir={0}/{1}-work", base.string(), who);
    }
    [[nodiscard]] bool mount() const {
        const std::string options = "mode=" + mode + "," + layers("ours");
        const pid_t child = ::fork();
        if (child == 0) {
            ::execl(program.c_str(), "unionfs", "-o", options.c_str(), (base / "ours").c_str(), nullptr);
            ::_exit(127);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        return status == 0 && ::mount("overlay", (base / "kernel").c_str(), "overlay", 0,
                                      (layers("kernel") + ",redirect_dir=on,index=on").c_str()) == 0;
    }
    void unmount() const {
        for (const char *part : {"ours", "kernel"})
            if (::umount2((base / part).c_str(), 0) < 0) ::umount2((base / part).c_str(), MNT_DETACH);
    }
    // What differs; empty when nothing does.
    [[nodiscard]] std::string difference(const Sequence &sequence) const {
        prepare();
        if (!mount()) return "mount failed";
        std::string text;
        for (size_t i = 0; i < sequence.size() && text.empty(); ++i) {
            if (sequence[i].kind == remount) {
                if (sequence[i].value % 4 != 0) continue;  // it takes as long as 50 others
                (void)!::chdir("/");
                unmount();
                if (!mount()) return std::format("operation {}: mount failed", i);
                continue;
            }
            long results[2];
            for (int side = 0; side < 2; ++side) {
                if (::chdir((base / (side == 0 ? "ours" : "kernel")).c_str()) < 0) return "chdir failed";
                errno = 0;
                results[side] = apply(sequence[i]);
                if (results[side] < 0) results[side] = -errno;
            }
            if (results[0] != results[1]) text = std::format("operation {}: ours {}, overlayfs {}", i, results[0], results[1]);
        }
        (void)!::chdir("/");
        if (text.empty()) {
            const std::string ours = tree(base / "ours", base / "ours"), kernel = tree(base / "kernel", base / "kernel");
            if (ours != kernel) text = "ours:\n" + ours + "overlayfs:\n" + kernel;
        }
        unmount();
        return text;
    }
};

std::string written(const Sequence &sequence) {
    std::string text;
    for (const Operation &o : sequence) text += std::format("{}:{}:{}:{} ", o.kind, o.from, o.to, o.value);
    return text;
}

Sequence parsed(const std::string &text) {
    Sequence sequence;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
        Operation o{};
        if (std::sscanf(word.c_str(), "%u:%u:%u:%u", &o.kind, &o.from, &o.to, &o.value) == 4) sequence.push_back(o);
    }
    return sequence;
}

Sequence shrink(const Machine &machine, Sequence sequence) {
    for (size_t step = sequence.size() / 2; step > 0; step /= 2)
        for (size_t at = 0; at + step <= sequence.size();) {
            Sequence fewer = sequence;
            fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(at), fewer.begin() + static_cast<ptrdiff_t>(at + step));
            if (machine.difference(fewer).empty())
                at += step;
            else
                sequence = std::move(fewer);
        }
    return sequence;
}

int fuzz(const Machine &machine, unsigned seed, int seconds) {
    std::mt19937 random(seed);
    size_t operations = 0;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (std::chrono::steady_clock::now() < end) {
        Sequence sequence(200);
        for (Operation &o : sequence)
            o = {static_cast<unsigned>(random() % kind_count), static_cast<unsigned>(random() % name_count),
                 static_cast<unsigned>(random() % name_count), static_cast<unsigned>(random() % 10000)};
        operations += sequence.size();
        if (machine.difference(sequence).empty()) continue;
        sequence = shrink(machine, std::move(sequence));
        std::println("difference after {} operations, seed {}:\n{}\n--replay \"{}\"", operations, seed,
                     machine.difference(sequence), written(sequence));
        return 1;
    }
    std::println("{} operations, no difference ({}, mode {}, seed {})", operations, machine.backing, machine.mode, seed);
    return 0;
}

}  // namespace

int main(int argc, char **argv) {
    Machine machine{.base = {}, .program = fs::absolute("build/unionfs")};
    unsigned seed = 1;
    int seconds = 30;
    std::string replay;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string word = argv[i];
        if (word == "--mode")
            machine.mode = argv[i + 1];
        else if (word == "--backing")
            machine.backing = argv[i + 1];
        else if (word == "--seconds")
            seconds = std::stoi(argv[i + 1]);
        else if (word == "--seed")
            seed = static_cast<unsigned>(std::stoul(argv[i + 1]));
        else if (word == "--replay")
            replay = argv[i + 1];
    }
    char name[] = "/tmp/fuzz-union-XXXXXX";
    if (::unshare(CLONE_NEWNS) < 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ||
        ::mkdtemp(name) == nullptr) {
        std::println(stderr, "fuzz: needs root, for it mounts: {}", std::strerror(errno));
        return 1;
    }
    machine.base = name;
    int status = 0;
    {
        const support::Backing disk(machine.base, machine.backing);
        if (replay.empty()) {
            status = fuzz(machine, seed, seconds);
        } else {
            const std::string difference = machine.difference(parsed(replay));
            std::println("{}", difference.empty() ? "no difference" : difference);
            status = difference.empty() ? 0 : 1;
        }
    }
    ::rmdir(name);
    return status;
}

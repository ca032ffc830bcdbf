// Differential fuzzer of the union: random sequences of operations on our mount and on overlayfs (with its index of hard
// links) over the same lower, or on a plain directory with a copy of it; each result and, at the end of a sequence, the whole
// tree must be the same. Now and then the mounts are made anew. With `--callers many` the operations are those of root, of two
// users and of one of them with another's group, on files, directories and set-id programs of each. A difference is shrunk to
// the fewest operations that still show it and printed as a line that `--replay` takes. Needs root.
//
// usage: union [--backing tmpfs|ext4] [--mode store|throughput[,OPTION...]] [--against overlayfs|plain] [--callers root|many]
//              [--seconds N] [--seed N] | --replay "OP OP …"
// An OP is kind:name:name:value. The backing is what the layers lie on.

#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
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
constexpr unsigned kind_count = 16, kind_count_of_many = 23;
constexpr unsigned remount = 15;

// Who does an operation; root's saved ids lead back.
struct Identity {
    uid_t uid;
    gid_t gid;
    std::vector<gid_t> groups;
};
constexpr uid_t one = 2001, other = 2002;
constexpr gid_t shared = 3001;
const std::vector<Identity> identities{{one, one, {}}, {one, one, {shared}}, {other, shared, {}}, {0, 0, {}}};
const Identity &caller_of(const Operation &operation) { return identities[operation.value / 64 % identities.size()]; }

bool become(const Identity &who) {
    return ::setresuid(0, 0, 0) == 0 && ::setgroups(who.groups.size(), who.groups.data()) == 0 &&
           ::setresgid(who.gid, who.gid, 0) == 0 && ::setresuid(who.uid, who.uid, 0) == 0;
}

// The last operations are of owners, groups and set-id bits.
long change_rights(unsigned kind, const char *name, unsigned value) {
    constexpr std::array<unsigned, 4> ids{one, other, shared, 0};
    const unsigned id = ids[value % ids.size()];
    switch (kind) {
    case 16: return ::chmod(name, value % 010000);
    case 17: return ::lchown(name, static_cast<uid_t>(-1), id);
    case 18: return ::lchown(name, id, static_cast<gid_t>(-1));
    case 19: return ::chown(name, static_cast<uid_t>(-1), static_cast<gid_t>(-1));
    default: break;
    }
    const int fd = ::open(name, (kind == 20 ? O_RDONLY : kind == 21 ? O_WRONLY | O_TRUNC : O_WRONLY) | O_CLOEXEC);
    if (fd < 0) return -1;
    std::array<char, 64> bytes{};
    const long result = kind == 20   ? ::read(fd, bytes.data(), bytes.size())
                        : kind == 21 ? 0
                                     : ::fallocate(fd, 0, 0, value % 9000 + 1);
    ::close(fd);
    return result;
}

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
    case 7: {
        // For whoever is not the owner the kernel judges by the mode that it has cached (may_linkat), and a write that took the
        // set-id bits renews nothing that it holds: whoever asks does.
        struct stat status{};
        (void)::lstat(from, &status);
        return ::link(from, to);
    }
    case 8: return ::symlink(to, from);
    case 9: return overwrite(from, O_WRONLY | O_CREAT, operation.value);
    case 10: return overwrite(from, O_WRONLY | O_APPEND, operation.value);
    case 11: return overwrite(from, O_WRONLY | O_CREAT | O_EXCL, operation.value);
    case 12: return ::truncate(from, operation.value % 9000);
    case 13: return ::chmod(from, 0700 + operation.value % 64);
    case 14: return ::setxattr(from, "user.fuzz", "x", 1, 0);
    default: return change_rights(operation.kind, from, operation.value);
    }
}

// Differences that FUSE makes and no file system of it can mend, each with its reason.
bool excused(const Operation &operation, long ours, long theirs) {
    // chown(2) to nobody comes as a SETATTR of nothing, and so does what the kernel sends before a write by somebody without
    // CAP_FSETID: an error for one would be one for the other. Nothing is changed.
    return operation.kind == 19 && ours == 0 && theirs == -EPERM;
}

std::string tree(const fs::path &root, const fs::path &path) {
    std::vector<fs::path> entries;
    for (const auto &entry : fs::directory_iterator(path)) entries.push_back(entry.path());
    std::ranges::sort(entries);
    std::string text;
    for (const fs::path &entry : entries) {
        struct stat status{};
        ::lstat(entry.c_str(), &status);
        text +=
            std::format("{} {:o} {}:{}", entry.lexically_relative(root).string(), status.st_mode, status.st_uid, status.st_gid);
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
    std::string mode = "store", backing = "tmpfs", against = "overlayfs", callers = "root";
    [[nodiscard]] bool many() const { return callers == "many"; }

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
        if (many()) give_owners();
        if (against == "plain" && std::system(std::format("cp -a {0}/lower/. {0}/kernel", base.string()).c_str()) != 0)
            std::abort();
    }
    void give_owners() const {
        struct Rights {
            const char *name;
            uid_t uid;
            gid_t gid;
            mode_t mode;
        };
        constexpr std::array<Rights, 8> rights{{{"", 0, 0, 0777},
                                                {"d", 0, shared, 02777},
                                                {"e", one, shared, 0775},
                                                {"d/e", 0, 0, 01777},
                                                {"a", 0, shared, 02775},
                                                {"d/a", one, one, 06777},
                                                {"d/b", other, shared, 02764},
                                                {"d/e/a", one, shared, 04770}}};
        for (const auto &[name, uid, gid, bits] : rights) {
            const fs::path path = base / "lower" / name;
            if (::chown(path.c_str(), uid, gid) < 0 || ::chmod(path.c_str(), bits) < 0) std::abort();
        }
        // A new upper's root shows, and has the lower's rights.
        for (const char *upper : {"ours-upper", "kernel-upper"}) ::chmod((base / upper).c_str(), 0777);
    }
    [[nodiscard]] std::string layers(const char *who) const {
        return std::format("lowerdir={0}/lower,upperdir={0}/{1}-upper,workdir={0}/{1}-work", base.string(), who);
    }
    [[nodiscard]] bool mount() const {
        const std::string options = "allow_other,mode=" + mode + "," + layers("ours");
        const pid_t child = ::fork();
        if (child == 0) {
            ::execl(program.c_str(), "unionfs", "-o", options.c_str(), (base / "ours").c_str(), nullptr);
            ::_exit(127);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        return status == 0 && (against == "plain" || ::mount("overlay", (base / "kernel").c_str(), "overlay", 0,
                                                             (layers("kernel") + ",redirect_dir=on,index=on").c_str()) == 0);
    }
    void unmount() const {
        for (const std::string_view part : {"ours", "kernel"}) {
            if (part == "kernel" && against == "plain") continue;
            if (::umount2((base / part).c_str(), 0) < 0) ::umount2((base / part).c_str(), MNT_DETACH);
        }
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
                if (many() && !become(caller_of(sequence[i]))) return "setresuid failed";
                errno = 0;
                results[side] = apply(sequence[i]);
                if (results[side] < 0) results[side] = -errno;
                if (many() && !become(identities.back())) return "setresuid failed";
            }
            if (results[0] != results[1] && !excused(sequence[i], results[0], results[1]))
                text = std::format("operation {}: ours {}, {} {}", i, results[0], against, results[1]);
        }
        (void)!::chdir("/");
        if (text.empty()) {
            const std::string ours = tree(base / "ours", base / "ours"), kernel = tree(base / "kernel", base / "kernel");
            if (ours != kernel) text = "ours:\n" + ours + against + ":\n" + kernel;
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
            o = {static_cast<unsigned>(random() % (machine.many() ? kind_count_of_many : kind_count)),
                 static_cast<unsigned>(random() % name_count), static_cast<unsigned>(random() % name_count),
                 static_cast<unsigned>(random() % 10000)};
        operations += sequence.size();
        if (machine.difference(sequence).empty()) continue;
        sequence = shrink(machine, std::move(sequence));
        std::println("difference after {} operations, seed {}:\n{}\n--replay \"{}\"", operations, seed,
                     machine.difference(sequence), written(sequence));
        return 1;
    }
    std::println("{} operations, no difference from {} ({}, mode {}, callers {}, seed {})", operations, machine.against,
                 machine.backing, machine.mode, machine.callers, seed);
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
        else if (word == "--against")
            machine.against = argv[i + 1];
        else if (word == "--callers")
            machine.callers = argv[i + 1];
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

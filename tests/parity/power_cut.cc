// Simulates a power cut before each system call that changes the upper. The next mount shows the operation done or not done,
// and nothing in between; overlayfs sees the same.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <format>
#include <fstream>
#include <map>
#include <optional>

#include "mounts/base/process.h"
#include "tests/parity/cut.h"
#include "tests/parity/place.h"
#include "tests/support/backing.h"

namespace {

namespace fs = std::filesystem;

// The mount options of both.
struct Mounts {
    const char *ours = "";
    const char *kernel = nullptr;  // null: skip overlayfs
};

struct Scenario {
    const char *name;
    std::function<bool()> operation;  // runs in the mount's root; a single operation from a client's view
};

void put(const fs::path &path, std::string_view text) { std::ofstream(path) << text; }

bool write_to(const char *name, int flags, std::string_view text) {
    const base::Fd fd(::open(name, O_WRONLY | O_CLOEXEC | flags, 0644));
    return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool exchange(const char *one, const char *two) {
    return ::syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, two, RENAME_EXCHANGE) == 0;
}

// A sequence of operations, all under the cutter.
std::vector<Scenario> scenarios() {
    return {
        {"append to a lower file", [] { return write_to("file", O_APPEND, "more"); }},
        {"truncate a lower file", [] { return ::truncate("directory/a", 0) == 0; }},
        {"chmod of a lower file", [] { return ::chmod("directory/b", 0600) == 0; }},
        {"chmod of a lower directory", [] { return ::chmod("directory/inner", 0700) == 0; }},
        {"xattr of a lower file deep below", [] { return ::setxattr("deep/1/2/3/file", "user.a", "1", 1, 0) == 0; }},
        {"rename a lower file", [] { return ::rename("one", "moved") == 0; }},
        {"rename a lower file over a lower file", [] { return ::rename("two", "three") == 0; }},
        {"rename an upper file over a lower file", [] { return ::rename("moved", "four") == 0; }},
        {"rename a lower file over an upper file", [] { return ::rename("five", "four") == 0; }},
        {"rename a lower directory", [] { return ::rename("tree", "tree-moved") == 0; }},
        {"rename it again", [] { return ::rename("tree-moved", "directory/tree") == 0; }},
        {"rename it onto a whiteout", [] { return ::rename("directory/tree", "tree") == 0; }},
        {"rename a lower directory over an empty lower directory", [] { return ::rename("tree2", "empty") == 0; }},
        {"exchange a lower file and a lower directory", [] { return exchange("six", "tree3"); }},
        {"unlink a lower file", [] { return ::unlink("seven") == 0; }},
        {"unlink an upper file over a lower one", [] { return ::unlink("file") == 0; }},
        {"unlink an upper file", [] { return ::unlink("four") == 0; }},
        {"unlink a symlink", [] { return ::unlink("symlink") == 0; }},
        {"create over a whiteout", [] { return ::mknod("seven", S_IFREG | 0644, 0) == 0; }},
        {"mkdir over a whiteout", [] { return ::mkdir("one", 0755) == 0; }},
        {"symlink over a whiteout", [] { return ::symlink("to", "symlink") == 0; }},
        {"link a lower file", [] { return ::link("eight", "directory/eight") == 0; }},
        {"rmdir a lower directory", [] { return ::rmdir("bare") == 0; }},
        {"unlink what is in a lower directory", [] { return ::unlink("half/x") == 0; }},
        {"rmdir a merged directory that holds a whiteout", [] { return ::rmdir("half") == 0; }},
        {"create a file in a lower directory", [] { return ::mknod("deep/1/2/new", S_IFREG | 0644, 0) == 0; }},
    };
}

// Operations that depend on the index of hard links. Skips overlayfs, which does not read it.
std::vector<Scenario> hard_link_scenarios() {
    return {
        {"unlink a name of a lower hard link", [] { return ::unlink("untouched") == 0; }},
        {"rename a file over another", [] { return ::rename("four", "directory/untouched") == 0; }},
        {"append to a lower hard link", [] { return write_to("linked", O_APPEND, "more"); }},
        {"append to it by another name", [] { return write_to("directory/linked-three", O_APPEND, "more"); }},
        {"rename a name that only the lower has", [] { return ::rename("linked-too", "directory/moved") == 0; }},
        {"link it", [] { return ::link("directory/moved", "new-name") == 0; }},
        {"link it over a whiteout", [] { return ::link("new-name", "linked-too") == 0; }},
        {"unlink a name that is in the upper", [] { return ::unlink("linked") == 0; }},
        {"unlink a name that only the lower has", [] { return ::unlink("directory/linked-three") == 0; }},
        {"rename a file over a name", [] { return ::rename("one", "directory/moved") == 0; }},
        {"chmod of another lower hard link", [] { return ::chmod("twins/a", 0600) == 0; }},
        {"rename a file over a name that only the lower has", [] { return ::rename("two", "twins/b") == 0; }},
        {"exchange a name with a file", [] { return exchange("twins/c", "three"); }},
        {"unlink all but the last", [] { return ::unlink("twins/a") == 0; }},
        {"unlink the last", [] { return ::unlink("three") == 0; }},
    };
}

void populate(const fs::path &lower) {
    for (const char *directory :
         {"directory/inner", "deep/1/2/3", "tree/in", "tree2/in", "tree3/in", "empty", "bare", "half", "twins"})
        fs::create_directories(lower / directory);
    for (const char *name : {"file",
                             "directory/a",
                             "directory/b",
                             "directory/inner/c",
                             "deep/1/2/3/file",
                             "linked",
                             "one",
                             "two",
                             "three",
                             "four",
                             "five",
                             "six",
                             "seven",
                             "eight",
                             "tree/in/t",
                             "tree2/in/t",
                             "tree3/in/t",
                             "half/x",
                             "twins/a",
                             "untouched"})
        put(lower / name, std::string("the lower's ") + name);
    for (const char *name : {"linked-too", "directory/linked-three"}) fs::create_hard_link(lower / "linked", lower / name);
    for (const char *name : {"directory/untouched", "twins/untouched"}) fs::create_hard_link(lower / "untouched", lower / name);
    for (const char *name : {"twins/b", "twins/c"}) fs::create_hard_link(lower / "twins/a", lower / name);
    fs::create_symlink("file", lower / "symlink");
    put(lower / "file", std::string(300000, 'f'));
}

struct Directories {
    fs::path base;
    std::optional<support::Backing> disk{};
    Directories() {
        char name[] = "/tmp/cut-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        base = name;
        disk.emplace(base, parity::backing());
        for (const char *directory : {"ours", "again", "kernel", "lower", "upper", "work", "cuts"})
            fs::create_directory(base / directory);
        populate(base / "lower");
    }
    Directories(const Directories &) = delete;
    Directories &operator=(const Directories &) = delete;
    ~Directories() {
        for (const char *mounted : {"ours", "again", "kernel"}) ::umount2((base / mounted).c_str(), MNT_DETACH);
        disk.reset();
        ::rmdir(base.c_str());
    }
    [[nodiscard]] std::string layers(const fs::path &at) const {
        return std::format("lowerdir={}/lower,upperdir={}/upper,workdir={}/work", base.string(), at.string(), at.string());
    }
};

void copy_disk(const fs::path &from, const fs::path &to) {
    fs::create_directory(to);
    const auto exit = base::run({.argv = {"cp", "-a", from / "upper", from / "work", to}, .capture_output = true});
    if (!exit || exit->status != 0) throw std::runtime_error("cp failed");
}

// Names with the same st_ino that are different files: a write through one does not show through the others.
std::string torn(const fs::path &root) {
    std::map<ino_t, std::vector<fs::path>> files;
    for (const auto &entry : fs::recursive_directory_iterator(root)) {
        struct stat status{};
        if (::lstat(entry.path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) files[status.st_ino].push_back(entry.path());
    }
    std::string found;
    for (const auto &[number, names] : files) {
        std::ofstream(names.front(), std::ios::app) << "one more line";
        for (const fs::path &name : names)
            if (fs::file_size(name) != fs::file_size(names.front())) found += name.string() + "\n";
    }
    return found;
}

// What our union shows when that disk is mounted after the cut, and what overlayfs shows unless it is skipped.
std::pair<std::string, std::string> seen_after(const Directories &directories, const fs::path &disk, const Mounts &mounts) {
    const auto exit =
        base::run({.argv = {parity::program(), "-o", directories.layers(disk) + mounts.ours, directories.base / "again"},
                   .capture_output = true});
    REQUIRE(exit);
    INFO(exit->output);
    REQUIRE(exit->status == 0);
    const std::string ours = parity::tree(directories.base / "again");
    if (mounts.kernel == nullptr) CHECK(torn(directories.base / "again") == "");
    REQUIRE(::umount2((directories.base / "again").c_str(), 0) == 0);
    if (mounts.kernel == nullptr) return {ours, ours};
    REQUIRE(::mount("overlay", (directories.base / "kernel").c_str(), "overlay", 0,
                    (directories.layers(disk) + mounts.kernel).c_str()) == 0);
    const std::string kernel = parity::tree(directories.base / "kernel");
    REQUIRE(::umount2((directories.base / "kernel").c_str(), 0) == 0);
    return {ours, kernel};
}

void cut_at_each_change(const std::vector<Scenario> &scenarios, const Mounts &mounts) {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const Directories directories;
    std::atomic<size_t> cuts = 0;
    parity::Cutter cutter(
        {parity::program(), "-f", "-o", directories.layers(directories.base) + mounts.ours, directories.base / "ours"},
        [&](int call) {
            if (!parity::is_sync(call)) copy_disk(directories.base, directories.base / "cuts" / std::to_string(cuts++));
        });
    struct stat below{}, at{};
    ::stat(directories.base.c_str(), &below);
    for (int i = 0; i < 500 && (::stat((directories.base / "ours").c_str(), &at) != 0 || at.st_dev == below.st_dev); ++i)
        ::usleep(10000);
    REQUIRE(at.st_dev != below.st_dev);
    // A look at a name of a hard link copies it up, so the test looks at those only in a copy.
    const auto now = [&] {
        if (mounts.kernel != nullptr) return parity::tree(directories.base / "ours");
        const fs::path copy = directories.base / "cuts/now";
        fs::remove_all(copy);
        copy_disk(directories.base, copy);
        return seen_after(directories, copy, mounts).first;
    };
    size_t checked = 0;
    for (const Scenario &scenario : scenarios) {
        INFO(scenario.name);
        const std::string before = now();
        bool done = false;
        {
            const parity::WorkingDirectory here(directories.base / "ours");
            cutter.arm(true);
            done = scenario.operation();
            cutter.arm(false);
        }
        REQUIRE(done);
        const std::string after = now();
        CHECK(cuts > checked);
        for (; checked < cuts; ++checked) {
            INFO("cut " << checked);
            const auto [ours, kernel] = seen_after(directories, directories.base / "cuts" / std::to_string(checked), mounts);
            if (ours != before) CHECK(ours == after);
            CHECK(kernel == ours);
        }
    }
    WARN(cuts << " cuts");
    cutter.arm(true);
    REQUIRE(::umount2((directories.base / "ours").c_str(), 0) == 0);
    CHECK(cutter.wait() == 0);
    CHECK(cuts == checked);  // overlayfs can't be mounted while somebody else takes names out of its workdir
}

}  // namespace

TEST_CASE("a power cut at any change leaves each operation done or not done") {
    cut_at_each_change(scenarios(), {.kernel = ",index=off,redirect_dir=on"});
}

TEST_CASE("a power cut at any change leaves each operation done or not done where marks are user.overlay.*") {
    cut_at_each_change(scenarios(), {.ours = ",userxattr", .kernel = ",userxattr,index=off"});
}

TEST_CASE("a power cut at any change of a lower hard link leaves its names one file") {
    cut_at_each_change(hard_link_scenarios(), {});
}

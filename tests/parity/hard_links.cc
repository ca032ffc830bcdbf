// Lower files with several names: a change by one name shows by all, in this mount and in later ones.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>
#include <functional>
#include <map>
#include <random>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"

using parity::Mounted;

namespace {

namespace fs = std::filesystem;

void append(const fs::path &path, std::string_view text) { std::ofstream(path, std::ios::app) << text; }

std::string content(const fs::path &path) {
    std::ifstream file(path);
    return {(std::istreambuf_iterator<char>(file)), {}};
}

void populate(const fs::path &root) {
    for (const char *directory : {"f", "g/deep", "h"}) fs::create_directories(root / directory);
    for (const char *name : {"one", "two", "three", "four", "six"}) {
        append(root / name, std::string("the lower's ") + name);
        for (const char *other : {"f", "g/deep", "h"}) fs::create_hard_link(root / name, root / other / name);
    }
    fs::create_symlink("one", root / "symlink");
    REQUIRE(::linkat(AT_FDCWD, (root / "symlink").c_str(), AT_FDCWD, (root / "f/symlink").c_str(), 0) == 0);
    fs::create_hard_link(root / "f/one", root / "f/alone");
    fs::create_directories(root / "gone");
    append(root / "gone/five", "five");
    fs::create_hard_link(root / "gone/five", root / "five");
}

void rename2(const char *from, const char *to, unsigned flags) {
    REQUIRE(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags) == 0);
}

struct Step {
    const char *name;
    std::function<void()> run;  // runs in the root of a place
};

std::vector<Step> steps() {
    return {
        {"unlink a name of one that is never changed", [] { fs::remove("g/deep/six"); }},
        {"a new file over another", [] { append("file", "new"), fs::rename("file", "f/six"); }},
        {"write by one name", [] { append("one", " more"); }},
        {"write by another name", [] { append("g/deep/one", " and more"); }},
        {"chmod by a third", [] { fs::permissions("h/one", fs::perms::owner_all); }},
        {"owner of a symlink", [] { REQUIRE(::lchown("f/symlink", 5, 6) == 0); }},
        {"unlink the name by which it was copied up", [] { fs::remove("one"); }},
        {"write by a name that is left", [] { append("f/one", "!"); }},
        {"unlink a name that only the lower has", [] { fs::remove("h/one"); }},
        {"move a name that only the lower has", [] { fs::rename("g/deep/one", "moved"); }},
        {"write by the moved one", [] { append("moved", "?"); }},
        {"a new name", [] { fs::create_hard_link("moved", "g/new"); }},
        {"a new file over a name", [] { append("file", "new"), fs::rename("file", "f/one"); }},
        {"a new name over a whiteout", [] { fs::create_hard_link("g/new", "one"); }},
        {"copy-up by chmod, then a file over that name",
         [] { fs::permissions("two", fs::perms::all), fs::rename("g/new", "two"); }},
        {"write by what is left of it", [] { append("h/two", "two"); }},
        {"exchange two names of different files", [] { rename2("f/two", "h/three", RENAME_EXCHANGE); }},
        {"write to both", [] { append("f/two", "3"), append("h/three", "2"); }},
        {"move a directory that has names", [] { fs::rename("f", "f2"); }},
        {"write by a name in it", [] { append("f2/four", "4"); }},
        {"write by a name beside it", [] { append("h/four", "4"); }},
        {"remove a directory that has names",
         [] {
             append("gone/five", "5");
             fs::remove_all("gone");
         }},
        {"write by the name that is left", [] { append("five", "5"); }},
        {"write to one that lost the name it was opened by",
         [] {
             const base::Fd fd(::open("four", O_RDWR | O_APPEND | O_CLOEXEC));
             fs::remove("four");
             REQUIRE(::write(fd.get(), "open", 4) == 4);
         }},
        {"truncate", [] { fs::resize_file("g/deep/four", 3); }},
        {"unlink all names", [] { fs::remove("moved"), fs::remove("one"), fs::remove("two"), fs::remove("f2/alone"); }},
        {"unlink all but one", [] { fs::remove("h/four"), fs::remove("f2/four"); }},
        {"write by the last", [] { append("g/deep/four", "last"); }},
        {"write to what lost names before it was changed", [] { append("h/six", "6"); }},
        {"unlink its last two", [] { fs::remove("six"), fs::remove("h/six"); }},
        {"unlink the last", [] { fs::remove("g/deep/four"); }},
    };
}

// A mount of one file with the names a and b, after a write through a.
struct Pair : Mounted {
    Pair() : Mounted("store") {
        append(lower() / "a", "lower");
        fs::create_hard_link(lower() / "a", lower() / "b");
        mount();
        append(root() / "a", " and upper");
        REQUIRE(unmount() == 0);
    }
    std::string mounted_content(const char *name) {
        mount();
        const std::string text = content(root() / name);
        REQUIRE(unmount() == 0);
        return text;
    }
};

constexpr int crowd_directories = 4, crowd_files = 10;

std::string crowd_name(unsigned number) {
    return std::format("d{}/f{}", number % crowd_directories, number / crowd_directories % crowd_files);
}

// One of several processes that work on the same names. Exits with the errno of the first unexpected failure, or 0.
int crowd(const fs::path &root, unsigned seed) {
    if (::chdir(root.c_str()) < 0) return errno;
    std::mt19937 random(seed);
    for (int i = 0; i < 1500; ++i) {
        const std::string from = crowd_name(static_cast<unsigned>(random())), to = crowd_name(static_cast<unsigned>(random()));
        struct stat status{};
        long result = 0;
        switch (random() % 6) {
        case 0: result = ::unlink(from.c_str()); break;
        case 1: result = ::rename(from.c_str(), to.c_str()); break;
        case 2: result = ::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE); break;
        case 3:
        case 4: result = ::link(from.c_str(), to.c_str()); break;
        default: result = ::stat(from.c_str(), &status) < 0 || ::chmod(from.c_str(), 0600 + i % 64) < 0 ? -1 : 0;
        }
        if (result < 0 && errno != ENOENT && errno != EEXIST) return errno;
    }
    return 0;
}

// The names and link count of each file.
std::map<ino_t, std::pair<size_t, nlink_t>> count_names(const fs::path &root) {
    std::map<ino_t, std::pair<size_t, nlink_t>> files;
    for (const auto &entry : fs::recursive_directory_iterator(root)) {
        struct stat status{};
        if (::lstat(entry.path().c_str(), &status) < 0 || !S_ISREG(status.st_mode)) continue;
        ++files[status.st_ino].first;
        files[status.st_ino].second = status.st_nlink;
    }
    return files;
}

}  // namespace

TEST_CASE("the names of lower hard links are counted right whatever many do to them at once") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    Mounted stack(mode);
    for (unsigned i = 0; i < crowd_directories * crowd_files; ++i) {
        fs::create_directories(stack.lower() / crowd_name(i).substr(0, 2));
        if (i % crowd_directories == 0)
            append(stack.lower() / crowd_name(i), "lower");
        else
            fs::create_hard_link(stack.lower() / crowd_name(i / crowd_directories * crowd_directories),
                                 stack.lower() / crowd_name(i));
    }
    stack.mount();
    std::vector<pid_t> children;
    for (unsigned seed = 1; seed <= 6; ++seed)
        if (children.push_back(::fork()); children.back() == 0) ::_exit(crowd(stack.root(), seed));
    std::vector<int> errors;
    for (const pid_t child : children) {
        int status = 0;
        ::waitpid(child, &status, 0);
        errors.push_back(WEXITSTATUS(status));
    }
    CHECK(errors == std::vector<int>(children.size(), 0));
    const auto counted = count_names(stack.root());
    for (const auto &[inode, count] : counted) CHECK(count.first == count.second);
    REQUIRE(stack.unmount() == 0);
    stack.mount();
    CHECK(count_names(stack.root()) == counted);
    CHECK(stack.unmount() == 0);
}

TEST_CASE("the names of a lower hard link stay one file, whether the union is mounted anew before each change or never") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    const bool anew = GENERATE(false, true);
    const bool look_first = GENERATE(false, true);  // all names are known before the change
    CAPTURE(mode, anew, look_first);
    Mounted stack(mode);
    const fs::path plain = stack.mount_beside_plain(populate);
    for (const Step &step : steps()) {
        INFO(step.name);
        if (look_first) CHECK(parity::tree(stack.root()) == parity::tree(plain));
        for (const fs::path &place : {stack.root(), plain}) {
            const parity::WorkingDirectory here(place);
            step.run();
        }
        if (anew) {
            REQUIRE(stack.unmount() == 0);
            stack.mount();
        }
        CHECK(parity::tree(stack.root()) == parity::tree(plain));
    }
    REQUIRE(stack.unmount() == 0);
}

TEST_CASE("nothing of a hard link is left in the workdir when its last name is gone") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Pair pair;
    pair.mount();
    CHECK(!fs::is_empty(pair.work() / "links"));
    fs::remove(pair.root() / "a");
    CHECK(!fs::is_empty(pair.work() / "links"));
    fs::remove(pair.root() / "b");
    CHECK(fs::is_empty(pair.work() / "links"));
    CHECK(pair.unmount() == 0);
}

TEST_CASE("the index is not trusted when the layers are no longer those that it was made for") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Pair pair;
    SECTION("nothing changed") { CHECK(pair.mounted_content("b") == "lower and upper"); }
    SECTION("a workdir of a version without an index") {
        fs::remove_all(pair.work() / "links");
        CHECK(pair.mounted_content("a") == "lower and upper");
        CHECK(pair.mounted_content("b") == "lower");
    }
    SECTION("the upper was emptied") {
        fs::remove(pair.upper() / "a");
        CHECK(pair.mounted_content("b") == "lower");
        CHECK(fs::is_empty(pair.work() / "links"));
    }
    SECTION("the upper was copied without the workdir") {
        fs::copy(pair.upper() / "a", pair.upper() / "copy");
        append(pair.upper() / "copy", "!");
        REQUIRE(::system(("cp -a " + (pair.upper() / "a").string() + " " + (pair.upper() / "copy").string()).c_str()) == 0);
        fs::rename(pair.upper() / "copy", pair.upper() / "a");
        CHECK(pair.mounted_content("b") == "lower");
    }
    SECTION("the lower's names are no longer one file") {
        fs::remove(pair.lower() / "b");
        append(pair.lower() / "b", "another");
        CHECK(pair.mounted_content("b") == "another");
    }
    SECTION("the lower was replaced") {
        fs::remove(pair.lower() / "a");
        fs::remove(pair.lower() / "b");
        append(pair.lower() / "a", "another");
        fs::create_hard_link(pair.lower() / "a", pair.lower() / "b");
        CHECK(pair.mounted_content("b") == "another");
        CHECK(pair.mounted_content("a") == "lower and upper");
    }
    SECTION("another lower is mounted for a while") {
        const fs::path other = pair.base() / "other";
        fs::rename(pair.lower(), other);
        fs::create_directory(pair.lower());
        append(pair.lower() / "b", "b");
        CHECK(pair.mounted_content("b") == "b");
        fs::remove_all(pair.lower());
        fs::rename(other, pair.lower());
        CHECK(pair.mounted_content("b") == "lower and upper");
    }
}

TEST_CASE("a damaged list of removed names counts for nothing, and what is sound in it counts") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    append(stack.lower() / "a", "lower");
    for (const char *name : {"b", "c"}) fs::create_hard_link(stack.lower() / "a", stack.lower() / name);
    stack.mount();
    fs::remove(stack.root() / "b");
    REQUIRE(stack.unmount() == 0);
    const fs::path list = stack.work() / "links/removed";
    const std::string record = content(list);
    const std::string number = record.substr(0, record.find(' '));
    using namespace std::string_literals;
    append(list, "\0\0no number\0"s + number + " /c\0"s + record + number + " /never ended");
    stack.mount();
    CHECK(fs::hard_link_count(stack.root() / "a") == 2);
    CHECK(stack.unmount() == 0);
    CHECK(content(list) == record);
}

TEST_CASE("overlayfs mounts an upper whose hard links were indexed, and shows what was written by each name") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string index = GENERATE("off", "on");
    CAPTURE(index);
    Mounted stack("store");
    append(stack.lower() / "a", "lower");
    fs::create_hard_link(stack.lower() / "a", stack.lower() / "b");
    stack.mount();
    CHECK(content(stack.root() / "b") == "lower");  // overlayfs finds only names in the upper: those that were looked up
    append(stack.root() / "a", " and upper");
    REQUIRE(stack.unmount() == 0);
    REQUIRE(::mount("overlay", (stack.base() / "kernel").c_str(), "overlay", 0,
                    (stack.layers() + ",redirect_dir=on,index=" + index).c_str()) == 0);
    for (const char *name : {"a", "b"}) CHECK(content(stack.base() / "kernel" / name) == "lower and upper");
    append(stack.base() / "kernel/b", "!");
    REQUIRE(::umount2((stack.base() / "kernel").c_str(), 0) == 0);
    stack.mount();
    for (const char *name : {"a", "b"}) CHECK(content(stack.root() / name) == "lower and upper!");
    CHECK(stack.unmount() == 0);
}

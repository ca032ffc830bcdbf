// A caller that walks directories without looking at their files gets plain listings, and sees the same content.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>
#include <functional>
#include <map>

#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/caches.h"

using parity::Mounted;

namespace {

namespace fs = std::filesystem;

constexpr int directories = 100, files = 10;

struct Shown {
    unsigned type;
    ino_t number;
    bool operator==(const Shown &) const = default;
};
using Tree = std::map<std::string, Shown>;

void list(const std::string &path, bool with_stat, Tree &tree) {
    DIR *entries = ::opendir(path.c_str());
    REQUIRE(entries != nullptr);
    while (const dirent *entry = ::readdir(entries)) {
        const std::string name = entry->d_name;
        if (name == "." || name == "..") continue;
        tree[path + "/" + name] = {entry->d_type, entry->d_ino};
        struct stat status{};
        if (with_stat) CHECK(::fstatat(::dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0);
        if (entry->d_type == DT_DIR) list(path + "/" + name, with_stat, tree);
    }
    ::closedir(entries);
}

Tree listed(const Mounted &mounted, bool with_stat) {
    Tree tree;
    list(mounted.root(), with_stat, tree);
    return tree;
}

Tree looked_up(const Tree &names) {
    Tree tree;
    for (const auto &[path, shown] : names) {
        struct stat status{};
        CHECK(::lstat(path.c_str(), &status) == 0);
        tree[path] = {IFTODT(status.st_mode), status.st_ino};
    }
    return tree;
}

void make_lower(const fs::path &lower) {
    for (int i = 0; i < directories; ++i) {
        const fs::path directory = lower / std::format("package-{}", i) / "share";
        fs::create_directories(directory);
        for (int j = 0; j < files; ++j) {
            const fs::path name = directory / std::format("file-{}", j);
            if (j % 5 == 3)
                fs::create_symlink("file-0", name);
            else if (j % 5 == 4)
                ::mkfifo(name.c_str(), 0600);
            else
                std::ofstream(name) << "of the lower";
        }
        fs::create_hard_link(directory / "file-0", directory / "other-name");
    }
}

// Several changes of each kind, all over the tree.
void change(const fs::path &root) {
    for (int i = 0; i < directories; i += 3) {
        const fs::path directory = root / std::format("package-{}", i) / "share";
        fs::remove(directory / "file-1");
        std::ofstream(directory / "file-2") << "changed";
        std::ofstream(directory / "file-0", std::ios::app) << "copied up, with one name of two";
        fs::rename(directory / "file-5", directory / "moved");
        std::ofstream(directory / "new").close();
        fs::remove(directory / "file-6");
        fs::create_directory(directory / "file-6");
    }
}

// A stack over the lower in each mode, not yet mounted; no other test drops its kernel caches.
void in_each_mode(const std::function<void(Mounted &)> &test) {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const support::CachesKept warm;
    for (const std::string &mode : parity::modes()) {
        INFO("mode=" << mode);
        Mounted m(mode);
        make_lower(m.lower());
        test(m);
    }
}

// The number of requests of one kind since the mount, from the debug output.
long requests(const Mounted &mounted, std::string_view operation) {
    const std::string log = mounted.log(), wanted = std::format("opcode: {} ", operation);
    long count = 0;
    for (size_t at = log.find(wanted); at != std::string::npos; at = log.find(wanted, at + 1)) ++count;
    return count;
}

}  // namespace

TEST_CASE("a walk that doesn't look at files is listed them bare, with the types and numbers that they have") {
    in_each_mode([](Mounted &m) {
        m.mount();
        change(m.root());
        REQUIRE(m.unmount() == 0);
        m.mount("debug");
        const Tree tree = listed(m, false);
        CHECK(tree.size() > directories * files);
        const long before = requests(m, "LOOKUP");
        CHECK(looked_up(tree) == tree);
        CHECK(requests(m, "LOOKUP") - before > directories * files / 2);
        CHECK(listed(m, false) == tree);
    });
}

TEST_CASE("a walk that looks at files gets their attributes with the listing but for a few trials") {
    in_each_mode([](Mounted &m) {
        m.mount("debug");
        const Tree tree = listed(m, true);
        CHECK(requests(m, "LOOKUP") > 0);
        CHECK(requests(m, "LOOKUP") <= 3 * (files + 1));  // of 200 directories the 9th, 42nd and 171st, or one soon after
        CHECK(looked_up(tree) == tree);
    });
}

TEST_CASE("a walk that turns to the files of a directory that it was listed bare gets attributes again") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const support::CachesKept warm;
    Mounted m("store");
    make_lower(m.lower());
    m.mount("debug");
    Tree tree;
    for (int i = 0; i < directories / 2; ++i) list(m.root() / std::format("package-{}", i), false, tree);
    const long before = requests(m, "LOOKUP");
    for (int i = directories / 2; i < directories; ++i) list(m.root() / std::format("package-{}", i), true, tree);
    CHECK(requests(m, "LOOKUP") - before - directories / 2 <= 2 * (files + 1));  // except the packages' own names
    CHECK(looked_up(tree) == tree);
}

TEST_CASE("a listing that was begun before its files changed brings back nothing of what they were") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    for (const std::string &mode : parity::modes()) {
        INFO("mode=" << mode);
        Mounted m(mode);
        const auto path = [](const fs::path &root, int i) { return root / std::format("many/{}-{:060}", i, i); };
        constexpr int count = 1200;
        fs::create_directory(m.lower() / "many");
        for (int i = 0; i < count; ++i) std::ofstream(path(m.lower(), i)) << "lower";
        m.mount();
        DIR *entries = ::opendir((m.root() / "many").c_str());
        REQUIRE(entries != nullptr);
        REQUIRE(::readdir(entries) != nullptr);  // one of several messages
        const auto expected = [](int i) { return std::vector<std::string>{"", "new", "lower and upper", "lower"}[i % 4]; };
        for (int i = 0; i < count; ++i) {
            if (i % 4 < 2) REQUIRE(fs::remove(path(m.root(), i)));
            if (i % 4 == 1) std::ofstream(path(m.root(), i)) << "new";
            if (i % 4 == 2) std::ofstream(path(m.root(), i), std::ios::app) << " and upper";
        }
        while (::readdir(entries) != nullptr) continue;
        ::closedir(entries);
        int back = 0, wrong = 0;
        for (int i = 0; i < count; ++i) {
            std::ifstream file(path(m.root(), i));
            const std::string content{std::istreambuf_iterator<char>(file), {}};
            back += i % 4 == 0 && fs::exists(path(m.root(), i)) ? 1 : 0;
            wrong += content != expected(i) ? 1 : 0;
        }
        CHECK(back == 0);
        CHECK(wrong == 0);
        CHECK(m.unmount() == 0);
    }
}

TEST_CASE("a walk is listed bare although files were replaced while their directory was listed") {
    in_each_mode([](Mounted &m) {
        const auto path = [](const fs::path &root, int i) { return root / std::format("many/{}-{:060}", i, i); };
        constexpr int count = 600;
        fs::create_directory(m.lower() / "many");
        for (int i = 0; i < count; ++i) std::ofstream(path(m.lower(), i)).close();
        m.mount("debug");
        DIR *entries = ::opendir((m.root() / "many").c_str());
        REQUIRE(entries != nullptr);
        REQUIRE(::readdir(entries) != nullptr);
        for (int i = 0; i < count; ++i) {
            fs::remove(path(m.root(), i));
            std::ofstream(path(m.root(), i)) << "new";
        }
        while (::readdir(entries) != nullptr) continue;
        ::closedir(entries);
        const Tree tree = listed(m, false);
        const long before = requests(m, "LOOKUP");
        CHECK(looked_up(tree) == tree);
        CHECK(requests(m, "LOOKUP") - before > directories * files / 2);
    });
}

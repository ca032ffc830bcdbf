// Mounts on a layer, in particular the union itself: hidden as in overlayfs, or followed on request.
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <filesystem>
#include <format>
#include <fstream>
#include <set>

#include "mounts/base/process.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/parity/tree.h"

using parity::Mounted;

namespace {

namespace fs = std::filesystem;

void write_text(const fs::path &path, std::string_view text) { std::ofstream(path) << text; }

std::string content(const fs::path &path) {
    std::ifstream file(path);
    return {(std::istreambuf_iterator<char>(file)), {}};
}

// A tmpfs with one file, for this object's lifetime.
class Submount {
  public:
    explicit Submount(fs::path at) : at_(std::move(at)) {
        REQUIRE(::mount("submount", at_.c_str(), "tmpfs", 0, nullptr) == 0);
        write_text(at_ / "mounted", "mounted");
    }
    ~Submount() { ::umount2(at_.c_str(), MNT_DETACH); }
    Submount(const Submount &) = delete;
    Submount &operator=(const Submount &) = delete;

  private:
    fs::path at_;
};

void mount_kernel(const Mounted &stack) {
    fs::create_directory(stack.base() / "nothing");
    const std::string layers = std::format("lowerdir={0}/lower:{0}/nothing", stack.base().string());
    REQUIRE(::mount("overlay", (stack.base() / "kernel").c_str(), "overlay", MS_RDONLY, layers.c_str()) == 0);
}

// All names beneath a directory, at most 1,000; an errno in place of a name that can't be looked up.
std::set<std::string> names_beneath(const fs::path &root) {
    std::set<std::string> names;
    std::vector<fs::path> left{root};
    while (!left.empty() && names.size() < 1000) {
        const fs::path at = left.back();
        left.pop_back();
        for (const auto &entry : fs::directory_iterator(at)) {
            if (names.size() >= 1000) break;
            struct stat status{};
            const std::string name = entry.path().lexically_relative(root);
            const bool seen = ::lstat(entry.path().c_str(), &status) == 0;
            names.insert(seen ? name : name + ": " + std::to_string(errno));
            if (seen && S_ISDIR(status.st_mode)) left.push_back(entry.path());
        }
    }
    return names;
}

// Whether the daemon ends by itself within half a minute.
bool ends(const Mounted &stack) {
    siginfo_t info{};
    for (int i = 0; i < 300 && info.si_pid == 0; ++i) {
        (void)::waitid(P_PID, static_cast<id_t>(stack.supervisor()), &info, WEXITED | WNOHANG | WNOWAIT);
        ::usleep(100000);
    }
    return info.si_pid != 0;
}

}  // namespace

TEST_CASE("what is mounted on a lower is not seen, as with overlayfs, and what it hides can be changed") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    const std::string options = GENERATE("", "submounts=hide");
    CAPTURE(mode, options);
    Mounted stack(mode);
    for (const char *directory : {"a", "b/c", "later"}) fs::create_directories(stack.lower() / directory);
    for (const char *file : {"a/below", "b/c/below", "file"}) write_text(stack.lower() / file, "below");
    const Submount one(stack.lower() / "a"), other(stack.lower() / "b/c");
    REQUIRE(::mount((stack.lower() / "a/mounted").c_str(), (stack.lower() / "file").c_str(), nullptr, MS_BIND, nullptr) == 0);
    stack.mount(options);
    mount_kernel(stack);
    const Submount later(stack.lower() / "later");
    CHECK(parity::tree(stack.root()) == parity::tree(stack.base() / "kernel"));
    CHECK(names_beneath(stack.root()) == std::set<std::string>{"a", "a/below", "b", "b/c", "b/c/below", "file", "later"});
    CHECK(content(stack.root() / "file") == "below");
    std::ofstream(stack.root() / "a/below", std::ios::app) << " and ours";
    CHECK(content(stack.upper() / "a/below") == "below and ours");
    CHECK(stack.unmount() == 0);
    ::umount2((stack.lower() / "file").c_str(), MNT_DETACH);
}

TEST_CASE("submounts=follow shows what is mounted on a lower, a tree of bind mounts above all, and it can be changed") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    Mounted stack(mode);
    for (const char *directory : {"elsewhere/package/bin", "lower/package", "lower/other"})
        fs::create_directories(stack.base() / directory);
    write_text(stack.base() / "elsewhere/package/bin/program", "program");
    REQUIRE(::mount((stack.base() / "elsewhere/package").c_str(), (stack.lower() / "package").c_str(), nullptr, MS_BIND,
                    nullptr) == 0);
    const Submount mounted(stack.lower() / "other"), upon_it(stack.lower() / "package/bin");
    stack.mount("submounts=follow");
    CHECK(names_beneath(stack.root()) ==
          std::set<std::string>{"other", "other/mounted", "package", "package/bin", "package/bin/mounted"});
    std::ofstream(stack.root() / "other/mounted", std::ios::app) << " and ours";
    CHECK(content(stack.upper() / "other/mounted") == "mounted and ours");
    CHECK(content(stack.lower() / "other/mounted") == "mounted");
    CHECK(stack.unmount() == 0);
    ::umount2((stack.lower() / "package").c_str(), MNT_DETACH);
}

TEST_CASE("a union that is mounted inside its own lower shows no union in itself, and ends when it is unmounted lazily") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    const std::string options = GENERATE("", "submounts=hide", "submounts=follow");
    const bool is_shared = GENERATE(false, true);  // a mount in one peer propagates to the others, mount_namespaces(7)
    CAPTURE(mode, options, is_shared);
    Mounted stack(mode);
    fs::create_directories(stack.lower() / "m/inside");
    write_text(stack.lower() / "m/file", "file");
    if (is_shared) REQUIRE(::mount("none", stack.base().c_str(), nullptr, MS_SHARED, nullptr) == 0);
    stack.place(stack.lower() / "m");
    stack.mount(options);
    CHECK(names_beneath(stack.root()) == std::set<std::string>{"m", "m/file", "m/inside"});
    std::ofstream(stack.root() / "m/file", std::ios::app) << " and ours";
    CHECK(content(stack.upper() / "m/file") == "file and ours");
    REQUIRE(::umount2(stack.root().c_str(), MNT_DETACH) == 0);
    CHECK(ends(stack));
}

TEST_CASE("where the kernel can't hide what is mounted on a layer, the union itself is told as a loop, and it ends too") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const bool in_upper = GENERATE(false, true);
    CAPTURE(in_upper);
    Mounted stack("store");
    const fs::path layer = in_upper ? stack.upper() : stack.lower();
    if (!in_upper) REQUIRE(::mount("none", stack.base().c_str(), nullptr, MS_UNBINDABLE, nullptr) == 0);
    fs::create_directories(layer / "d/m/inside");
    stack.place(fs::canonical(layer) / "d/m");
    stack.mount();
    CHECK(names_beneath(stack.root()) == std::set<std::string>{"d", "d/m: " + std::to_string(ELOOP)});
    REQUIRE(::umount2(stack.root().c_str(), MNT_DETACH) == 0);
    CHECK(ends(stack));
}

TEST_CASE("submounts=hide is refused where the kernel can't, and so is another word") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const Mounted stack("store");
    REQUIRE(::mount("none", stack.base().c_str(), nullptr, MS_UNBINDABLE, nullptr) == 0);
    const auto refusal = [&](const std::string &options) {
        const auto exit = base::run(
            {.argv = {parity::program(), "-o", options + "," + stack.layers(), stack.root().string()}, .capture_output = true});
        REQUIRE(exit);
        CHECK(exit->status == 1);
        return exit->output;
    };
    CHECK(refusal("submounts=hide") ==
          "unionfs: submounts=hide '" + stack.lower().string() +
              "': Invalid argument; needs root outside a container, and a lower that is not an unbindable mount\n");
    CHECK(refusal("submounts=none") == "unionfs: option 'submounts=none': expected hide or follow\n");
}

TEST_CASE("an upper and its workdir may lie in a lower, where they are told as a loop, as with overlayfs") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    const Mounted places(mode);  // provides the directories
    const fs::path lower = places.base() / "disk";
    fs::create_directories(lower / "d");
    write_text(lower / "d/file", "lower");
    struct stat status{};
    std::set<std::string> seen[2];
    for (const bool ours : {true, false}) {
        CAPTURE(ours);
        const fs::path root = places.base() / (ours ? "ours" : "kernel");
        const std::string layers = std::format("lowerdir={0},upperdir={0}/upper,workdir={0}/work", lower.string());
        if (ours)
            REQUIRE(base::run({.argv = {parity::program(), "-o", "allow_other,mode=" + mode + "," + layers, root.string()},
                               .capture_output = true})
                        .value()
                        .output == "");
        else
            REQUIRE(::mount("overlay", root.c_str(), "overlay", 0, layers.c_str()) == 0);
        std::ofstream(root / "d/file", std::ios::app) << " and ours";
        write_text(root / "new", "new");
        seen[ours ? 0 : 1] = names_beneath(root);
        CHECK(content(lower / "upper/d/file") == "lower and ours");
        CHECK(::lstat((root / "upper").c_str(), &status) == -1);
        CHECK(errno == ELOOP);
        CHECK(::rename((root / "work").c_str(), (root / "moved").c_str()) == -1);
        CHECK(errno == ELOOP);
        CHECK(::rmdir((root / "upper").c_str()) == -1);
        CHECK(errno == ELOOP);
        REQUIRE(::umount2(root.c_str(), 0) == 0);
        fs::remove_all(lower / "upper/d");
        fs::remove(lower / "upper/new");
    }
    CHECK(seen[0] == seen[1]);
}

TEST_CASE("files with one inode number on two mounts of a lower are two files, also when they have more names") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    for (const char *name : {"first", "second"}) fs::create_directory(stack.lower() / name);
    const Submount first(stack.lower() / "first"), second(stack.lower() / "second");
    for (const char *name : {"first", "second"}) {
        write_text(stack.lower() / name / "mounted", name);
        fs::create_hard_link(stack.lower() / name / "mounted", stack.lower() / name / "other-name");
    }
    const auto number = [](const fs::path &path) {
        struct stat status{};
        REQUIRE(::stat(path.c_str(), &status) == 0);
        return status.st_ino;
    };
    REQUIRE(number(stack.lower() / "first/mounted") == number(stack.lower() / "second/mounted"));
    stack.mount("submounts=follow");
    CHECK(number(stack.root() / "first/mounted") != number(stack.root() / "second/mounted"));
    std::ofstream(stack.root() / "first/mounted", std::ios::app) << " changed";
    CHECK(content(stack.root() / "second/other-name") == "second");  // before the copy leaves the index with its last name
    CHECK(content(stack.root() / "second/mounted") == "second");
    CHECK(content(stack.root() / "first/other-name") == "first changed");
    std::ofstream(stack.root() / "second/other-name", std::ios::app) << " too";
    CHECK(content(stack.root() / "first/mounted") == "first changed");
    CHECK(content(stack.root() / "second/mounted") == "second too");
    CHECK(stack.unmount() == 0);
    stack.mount("submounts=follow");
    CHECK(content(stack.root() / "first/other-name") == "first changed");
    CHECK(content(stack.root() / "second/mounted") == "second too");
    CHECK(stack.unmount() == 0);
}

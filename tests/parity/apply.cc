// `stage1 union apply`: what the union showed, the directory shows afterwards, also after an interruption at any call.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch_amalgamated.hpp>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/process.h"
#include "tests/parity/cut.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/parity/tree.h"

namespace {

namespace fs = std::filesystem;
using parity::Mounted;

void write(const fs::path &path, std::string_view text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    REQUIRE(file.good());
}

std::vector<std::string> words(const fs::path &upper, const fs::path &directory) {
    return {fs::path(parity::program()).replace_filename("stage1"), "union", "apply", upper, directory};
}

base::Exit apply(const fs::path &upper, const fs::path &directory) {
    const auto exit = base::run({.argv = words(upper, directory), .capture_output = true});
    REQUIRE(exit);
    return *exit;
}

void copy_tree(const fs::path &from, const fs::path &to) {
    const auto exit = base::run({.argv = {"/bin/cp", "-a", "--sparse=always", from, to}, .capture_output = true});
    REQUIRE(exit);
    INFO(exit->output);
    REQUIRE(exit->status == 0);
}

// parity::tree, and each object's exact time.
std::string all_of(const fs::path &root) {
    std::string text = parity::tree(root);
    std::vector<fs::path> paths{root};
    for (const auto &entry : fs::recursive_directory_iterator(root)) paths.push_back(entry.path());
    std::ranges::sort(paths);
    for (const fs::path &path : paths) {
        struct stat status{};
        REQUIRE(::lstat(path.c_str(), &status) == 0);
        text += std::format("{} {}.{} {:o} {}\n", path.lexically_relative(root).string(), status.st_mtim.tv_sec,
                            status.st_mtim.tv_nsec, status.st_mode, status.st_uid);
    }
    return text;
}

void rename_it(const fs::path &from, const fs::path &to) {
    INFO(from << " -> " << to);
    REQUIRE(::rename(from.c_str(), to.c_str()) == 0);
}

// Directories that are moved: into another, out of one that is moved too, two that change places, and one into a new directory
// where an old one was.
void move_directories(const fs::path &root) {
    rename_it(root / "directory", root / "moved");
    write(root / "moved/added", "to a moved directory\n");
    fs::remove(root / "moved/a");
    rename_it(root / "moved/inner", root / "inner-out");
    write(root / "inner-out/b", "changed where it is now\n");
    rename_it(root / "theirs", root / "aside");
    rename_it(root / "empty", root / "theirs");
    rename_it(root / "aside", root / "empty");
    fs::create_directories(root / "directory/deep");
    rename_it(root / "inner-out", root / "directory/deep/inner");
}

void change(const fs::path &root) {
    write(root / "file", "upper data\n");
    REQUIRE(::chmod((root / "file").c_str(), 0604) == 0);
    REQUIRE(::lchown((root / "symlink").c_str(), 7, 8) == 0);
    REQUIRE(::setxattr((root / "attributed").c_str(), "trusted.note", "other", 5, 0) == 0);
    (void)::removexattr((root / "attributed").c_str(), "security.note");
    fs::remove(root / "holes");
    fs::remove(root / "null");
    fs::create_directory(root / "null");
    write(root / "null/in", "a directory where a device was\n");
    // Hides the lower's: of its two hundred names one is there again.
    fs::remove_all(root / "many");
    fs::create_directories(root / "many/below");
    write(root / "many/name-7", "new\n");
    fs::create_directory(root / "links");
    write(root / "links/one", "three names\n");
    fs::create_hard_link(root / "links/one", root / "links/two");
    fs::create_hard_link(root / "links/one", root / "three");
    fs::create_symlink("nowhere", root / "links/symbolic");
    REQUIRE(::mkfifo((root / "links/fifo").c_str(), 0620) == 0);
    REQUIRE(::mknod((root / "links/device").c_str(), S_IFBLK | 0600, makedev(7, 99)) == 0);
    REQUIRE(::truncate((root / "capable").c_str(), 1 << 16) == 0);
    const std::array<timespec, 2> old{timespec{1000, 1}, timespec{2000, 3}};
    REQUIRE(::utimensat(AT_FDCWD, (root / "links").c_str(), old.data(), 0) == 0);
    REQUIRE(::chmod(root.c_str(), 0751) == 0);
}

// overlayfs over the same layers, for as long as this exists.
class Overlay {
  public:
    explicit Overlay(const Mounted &stack) : root_(stack.base() / "overlay") {
        fs::create_directory(root_);
        const std::string options = std::format("lowerdir={},upperdir={},workdir={},redirect_dir=on,metacopy=off,index=off",
                                                stack.lower().string(), stack.upper().string(), stack.work().string());
        fs::create_directories(stack.work());
        mounted_ = ::mount("overlay", root_.c_str(), "overlay", 0, options.c_str()) == 0;
    }
    Overlay(const Overlay &) = delete;
    Overlay &operator=(const Overlay &) = delete;
    ~Overlay() {
        if (mounted_) (void)::umount(root_.c_str());
    }
    [[nodiscard]] bool mounted() const { return mounted_; }
    [[nodiscard]] fs::path root() const { return root_; }

  private:
    fs::path root_;
    bool mounted_ = false;
};

// Fills the lower, and copies it to a plain directory.
fs::path copied_lower(const Mounted &stack) {
    parity::populate(stack.lower());
    fs::path plain = stack.base() / "plain";
    copy_tree(stack.lower(), plain);
    return plain;
}

}  // namespace

TEST_CASE("union apply makes a copy of the lower what our union shows, and can be done again") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    const fs::path plain = copied_lower(stack);
    stack.mount();
    change(stack.root());
    const std::string changed = all_of(stack.root());
    REQUIRE(stack.unmount() == 0);
    for (int time = 0; time < 2; ++time) {
        const auto exit = apply(stack.upper(), plain);
        INFO(exit.output);
        CHECK(exit.status == 0);
        CHECK(all_of(plain) == changed);
    }
    // The lower itself is as good as a copy.
    CHECK(apply(stack.upper(), stack.lower()).status == 0);
    CHECK(all_of(stack.lower()) == changed);
}

TEST_CASE("union apply follows the directories that our union moved") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    const fs::path plain = copied_lower(stack);
    stack.mount();
    move_directories(stack.root());
    change(stack.root());
    const std::string changed = all_of(stack.root());
    REQUIRE(stack.unmount() == 0);
    const auto exit = apply(stack.upper(), plain);
    INFO(exit.output);
    CHECK(exit.status == 0);
    CHECK(all_of(plain) == changed);
    // What was moved can't be moved again, and nothing is done.
    const auto again = apply(stack.upper(), plain);
    CHECK(again.status == 1);
    CHECK_THAT(again.output, Catch::Matchers::ContainsSubstring("was it applied already?"));
    CHECK(all_of(plain) == changed);
}

TEST_CASE("union apply makes a copy of the lower what the kernel's overlayfs shows") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const Mounted stack("store");
    const fs::path plain = copied_lower(stack);
    std::string changed;
    {
        const Overlay overlay(stack);
        if (!overlay.mounted()) SKIP("the kernel has no overlayfs with redirect_dir here");
        move_directories(overlay.root());
        change(overlay.root());
        changed = all_of(overlay.root());
    }
    const auto exit = apply(stack.upper(), plain);
    INFO(exit.output);
    CHECK(exit.status == 0);
    CHECK(all_of(plain) == changed);
}

TEST_CASE("a union apply that is killed before any of its calls is completed by the next one") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    for (const char *directory : {"one/in", "two", "hidden"}) fs::create_directories(stack.lower() / directory);
    for (const char *name : {"one/in/file", "two/file", "hidden/a", "hidden/b", "kept", "gone"})
        write(stack.lower() / name, name);
    stack.mount();
    const fs::path root = stack.root();
    rename_it(root / "one/in", root / "in");
    rename_it(root / "one", root / "aside");
    rename_it(root / "two", root / "one");
    rename_it(root / "aside", root / "two");
    fs::remove(root / "gone");
    fs::remove_all(root / "hidden");
    fs::create_directory(root / "hidden");
    rename_it(root / "in", root / "hidden/in");
    write(root / "hidden/b", "new\n");
    fs::create_hard_link(root / "hidden/b", root / "second-name");
    const std::string changed = all_of(root), changed_tree = parity::tree(root);
    REQUIRE(stack.unmount() == 0);

    const fs::path plain = stack.base() / "plain";
    int kills = 0;
    for (bool ended = false; !ended; ++kills) {
        fs::remove_all(plain);
        copy_tree(stack.lower(), plain);
        INFO("killed before call " << kills);
        {
            std::atomic<int> left = kills;
            std::atomic<pid_t> pid = 0;
            parity::Cutter cutter(words(stack.upper(), plain), [&](int) {
                if (left-- == 0) (void)::kill(pid, SIGKILL);
            });
            pid = cutter.pid();
            cutter.arm(true);
            ended = cutter.wait() == 0;
        }
        // At the end only the root's own time is left, which the stage's removal changed.
        if (ended || parity::tree(plain) == changed_tree) continue;
        const auto exit = apply(stack.upper(), plain);
        INFO(exit.output);
        REQUIRE(exit.status == 0);
        REQUIRE(all_of(plain) == changed);
    }
    CHECK(kills > 30);
    CHECK(all_of(plain) == changed);
}

TEST_CASE("union apply refuses the host's store, a foreign stage, another upper's, and directories within each other") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const Mounted stack("store");
    write(stack.lower() / "file", "lower\n");
    write(stack.upper() / "file", "upper\n");
    const auto said = [&](const fs::path &upper, const fs::path &directory) {
        const auto exit = apply(upper, directory);
        CHECK(exit.status == 1);
        return exit.output;
    };
    using Catch::Matchers::ContainsSubstring;
    CHECK_THAT(said(stack.upper(), stack.base()), ContainsSubstring("must not contain each other"));
    const bool made = fs::create_directories("/nix/store");
    CHECK_THAT(said(stack.upper(), "/nix/store"), ContainsSubstring("this is the host's Nix store"));
    const fs::path elsewhere = stack.base() / "elsewhere";
    fs::create_directory(elsewhere);
    REQUIRE(::mount("/nix/store", elsewhere.c_str(), nullptr, MS_BIND, nullptr) == 0);
    CHECK_THAT(said(stack.upper(), elsewhere), ContainsSubstring("this is the host's Nix store"));
    REQUIRE(::umount(elsewhere.c_str()) == 0);
    if (made) fs::remove("/nix/store");
    const fs::path stage = stack.lower() / ".stage1-union-apply";
    fs::create_directory(stage);
    fs::permissions(stage, fs::perms::all);
    CHECK_THAT(said(stack.upper(), stack.lower()), ContainsSubstring("it is not ours alone"));
    fs::permissions(stage, fs::perms::owner_all);
    write(stage / "journal", "of another\n");
    CHECK_THAT(said(stack.upper(), stack.lower()), ContainsSubstring("another upper was applied"));
    CHECK(fs::file_size(stack.lower() / "file") == 6);
    std::ifstream file(stack.lower() / "file");
    CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == "lower\n");
}

TEST_CASE("union apply does nothing that a user of the union asks for by user.overlay.* attributes") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    for (const char *directory : {"home/theirs", "secret"}) fs::create_directories(stack.lower() / directory);
    for (const char *name : {"home/empty", "home/theirs/file", "secret/file"}) write(stack.lower() / name, "lower");
    stack.mount();
    const auto mark = [&](const char *name, const char *attribute, std::string_view value) {
        REQUIRE(::setxattr((stack.root() / name).c_str(), attribute, value.data(), value.size(), 0) == 0);
    };
    REQUIRE(::truncate((stack.root() / "home/empty").c_str(), 0) == 0);
    mark("home/empty", "user.overlay.whiteout", "y");
    mark("home/empty", "user.overlay.metacopy", "");
    mark("home/theirs", "user.overlay.opaque", "y");
    fs::create_directory(stack.root() / "home/new");
    mark("home/new", "user.overlay.redirect", "/secret");
    REQUIRE(stack.unmount() == 0);
    const auto exit = apply(stack.upper(), stack.lower());
    INFO(exit.output);
    CHECK(exit.status == 0);
    for (const char *name : {"home/empty", "home/theirs/file", "secret/file"}) CHECK(fs::exists(stack.lower() / name));
    CHECK(fs::is_empty(stack.lower() / "home/new"));
}

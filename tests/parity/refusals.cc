// What the union refuses, and the messages: exit status 1, one line, nothing mounted.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "mounts/base/process.h"
#include "tests/parity/place.h"

namespace {

namespace fs = std::filesystem;

// Directories in /tmp/refuse-…, the working directory for this object's lifetime.
struct Here {
    fs::path before = fs::current_path(), base;
    std::string program = parity::program();

    Here() {
        char name[] = "/tmp/refuse-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        base = name;
        REQUIRE(::mount("refuse", base.c_str(), "tmpfs", 0, "mode=755") == 0);
        fs::current_path(base);
        for (const char *directory : {"a", "b/in", "c", "m", "plain", "other"}) fs::create_directories(directory);
        std::ofstream("file") << "x";
        REQUIRE(::mount("plain", "plain", "ramfs", 0, nullptr) == 0);  // has no extended attributes
        REQUIRE(::mount("other", "other", "tmpfs", 0, nullptr) == 0);
        for (const char *directory : {"plain/upper", "plain/work", "other/work"}) fs::create_directory(directory);
    }
    Here(const Here &) = delete;
    Here &operator=(const Here &) = delete;
    ~Here() {
        fs::current_path(before);
        ::umount2(base.c_str(), MNT_DETACH);
        ::rmdir(base.c_str());
    }

    // The printed line, without the directory's name.
    std::string refusal(const std::vector<std::string> &words) const {
        std::vector<std::string> argv{program};
        argv.insert(argv.end(), words.begin(), words.end());
        const auto exit = base::run({.argv = argv, .capture_output = true});
        REQUIRE(exit);
        CHECK(exit->status == 1);
        std::ifstream mounts("/proc/self/mounts");
        const std::string all((std::istreambuf_iterator<char>(mounts)), {});
        CHECK_THAT(all, !Catch::Matchers::ContainsSubstring(base.string() + "/m "));
        return exit->output;
    }
};

}  // namespace

TEST_CASE("a wrong stack of branches is refused with the branch's name, and nothing is mounted") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const Here here;
    CHECK(here.refusal({"-o", "lowerdir=none", "m"}) == "unionfs: branch 'none': No such file or directory\n");
    CHECK(here.refusal({"a=RW:none=RO", "m"}) == "unionfs: branch 'none': No such file or directory\n");
    CHECK(here.refusal({"-o", "chroot=/tmp/nowhere", "a=RW:b=RO", "m"}) ==
          "unionfs: branch '/tmp/nowhere/b': No such file or directory\n");
    CHECK(here.refusal({"-o", "lowerdir=file", "m"}) == "unionfs: branch 'file': Not a directory\n");
    CHECK(here.refusal({"-o", "lowerdir=a:a", "m"}) == "unionfs: branch 'a': is given twice\n");
    CHECK(here.refusal({"-o", "lowerdir=b:b/in", "m"}) == "unionfs: branch 'b/in': is inside the branch 'b'\n");
    CHECK(here.refusal({"-o", "lowerdir=b/in,upperdir=b,workdir=c", "m"}) ==
          "unionfs: branch 'b/in': is inside the branch 'b'\n");
}

TEST_CASE("an upper or workdir that can't serve is refused with the reason") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const Here here;
    CHECK(here.refusal({"-o", "lowerdir=a,upperdir=b,workdir=b/in", "m"}) ==
          "unionfs: workdir 'b/in': must be beside the upper, not inside or around it\n");
    CHECK(here.refusal({"-o", "lowerdir=a,upperdir=b,workdir=other/work", "m"}) ==
          "unionfs: workdir 'other/work': must be on the upper's file system\n");
    CHECK(here.refusal({"-o", "lowerdir=a,upperdir=plain/upper,workdir=plain/work", "m"}) ==
          "unionfs: upper 'plain/upper': Not supported; its file system doesn't support extended attributes, so it can't hold an "
          "upper\n");
    REQUIRE(::mount("other", "other", "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr) == 0);
    CHECK(here.refusal({"-o", "lowerdir=a,upperdir=other,workdir=other/work", "m"}) ==
          "unionfs: workdir 'other/work': must be beside the upper, not inside or around it\n");
    CHECK(here.refusal({"-o", "lowerdir=a", "none"}) == "unionfs: mount point 'none': No such file or directory\n");
    CHECK(here.refusal({"-o", "lowerdir=a", "file"}) ==
          "unionfs: mount point '" + here.base.string() + "/file': Not a directory\n");
    CHECK(here.refusal({"-o", "lowerdir=a,frobnicate", "m"}) ==
          "unionfs: option 'frobnicate': is unknown; `-o help` lists all options\n");
}

TEST_CASE("a limit of the file size is told, and doesn't kill") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const Here here;
    const auto exit =
        base::run({.argv = {"/bin/sh", "-c", "ulimit -f 100; exec \"$0\" \"$@\"", here.program, "-o", "lowerdir=a", "m"},
                   .capture_output = true});
    REQUIRE(exit);
    CHECK(exit->status == 1);
    CHECK(exit->output == "unionfs: shared memory 'memfd': File too large; needs a file of 16 GiB; see ulimit -f\n");
}

// Commands of stage 1 typed on a running machine: in a private mount namespace that is not an initrd.
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>

#include "mounts/base/process.h"

namespace {

base::Exit sh(const std::string &script) {
    if (::geteuid() != 0) SKIP("needs root, for mounts");
    const std::string stage1 = (std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "stage1").string();
    const auto exit =
        base::run({.argv = {"timeout", "60", "unshare", "--mount", "sh", "-c", script, stage1}, .capture_output = true});
    REQUIRE(exit);
    return *exit;
}

// A tmpfs as /, without devices, so that nothing of this machine is reachable; contains `fstab`.
std::string in_a_root(const std::string &command) {
    return R"(set -e; mount -t tmpfs none /mnt; cd /mnt; mkdir -p proc etc/stage1 dev; cp "$0" stage1; mount -t proc proc proc
printf '%s\n' 'none / tmpfs' 'one /one tmpfs' 'two /one/two tmpfs' 'three /three nosuchfs' >etc/stage1/fstab
chroot . )" +
           command + "; status=$?; cat proc/mounts; exit $status";
}

}  // namespace

TEST_CASE("devices and mounts refuse a machine that runs, unless one disk or a target root is named", "[running]") {
    for (const auto &[command, instead] :
         {std::pair{"devices", "name one disk with --device"}, {"mounts", "say where with --target-root"}}) {
        const auto exit = sh(in_a_root(std::string("/stage1 ") + command + " || true"));
        INFO(exit.output);
        CHECK(exit.output.contains(std::string(command) +
                                   ": this is not an initrd, and the kernel's command line names devices that are in use; " +
                                   instead));
        CHECK_FALSE(exit.output.contains("/mnt-root"));
    }
}

TEST_CASE("mounts that fails leaves nothing mounted but what was there", "[running]") {
    const auto exit = sh(in_a_root("/stage1 mounts --target-root /target || true"));
    INFO(exit.output);
    CHECK(exit.output.contains("mount '/target/three': No such device"));
    CHECK_FALSE(exit.output.contains("/target tmpfs"));
    CHECK_FALSE(exit.output.contains("/target/one"));
    CHECK(exit.output.contains("proc /mnt/proc proc"));
}

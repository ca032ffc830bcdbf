// One command as a complete machine: `runvm in-vm`.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>

#include "hostside/boot/boot_files.h"
#include "mounts/base/at.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

struct Ran {
    int status = -1;
    std::string output, errors;
};

Ran in_vm(const Place &place, const std::string &words) {
    const std::string out = place.directory() + "/out", err = place.directory() + "/err";
    fs::create_directory(place.directory() + "/tmp");
    const auto exit = base::run(
        {.argv = {
             "/bin/sh", "-c",
             std::format("cd {0} && USE_TMPDIR=1 TMPDIR={0}/tmp XDG_RUNTIME_DIR={0}/run exec {1} in-vm --accel tcg --timeout 240 "
                         "--store {2}/root/nix/store {3} >{4} 2>{5}",
                         place.directory(), (build_directory() / "runvm").string(), fixture(), words, out, err)}});
    REQUIRE(exit);
    return {exit->status, base::read_file(out).value_or(""), base::read_file(err).value_or("")};
}

std::string left(const Place &place, const std::string &file) {
    return base::read_file(place.directory() + "/tmp/xchg/" + file).value_or("");
}

TEST_CASE("in-vm: one command with a disk, in a machine without a stage 2, and what it leaves is on the host") {
    const Place place;
    const std::string system = "--toplevel " + fixture_toplevel() + " ";
    const Ran ran = in_vm(place, system + R"(--disk 'a, disk.qcow2,64M' --memory 384M --module ext4 --env GREETING='good day' \
--pre-vm 'echo before' --post-vm "qemu-img info 'a, disk.qcow2' | grep -c 'virtual size: 64 MiB'" -- sh -c '
    set -e
    echo "PID 1 is $(cat /proc/1/comm), $GREETING"
    touch /nix/store/mine 2>/dev/null || echo "the store is read-only"
    mke2fs -q -t ext4 /dev/vda && mkdir /disk && mount /dev/vda /disk && echo kept >/disk/file && umount /disk
    ps | grep -c -v "\[" >/tmp/xchg/processes
    awk "/MemTotal/ { print (\$2 < 400000) }" /proc/meminfo')");
    INFO(ran.errors);
    CHECK(ran.status == 0);
    CHECK(ran.output == "PID 1 is init, good day\nthe store is read-only\n1\n");
    CHECK_THAT(ran.errors, ContainsSubstring("before\n") && ContainsSubstring("\n1\n"));
    CHECK(left(place, "in-vm-exit") == "0\n");
    const Ran again = in_vm(
        place, system +
                   "--disk 'a, disk.qcow2' --module ext4 --post-vm 'touch ran' -- sh -c 'mkdir /disk; mount /dev/vda /disk; cat "
                   "/disk/file; exit 7'");
    INFO(again.errors);
    CHECK(again.status == 7);
    CHECK(again.output == "kept\n");
    CHECK(left(place, "in-vm-exit") == "7\n");
    CHECK_FALSE(fs::exists(place.directory() + "/ran"));
    const Ran refused = in_vm(place, system + "--disk absent.qcow2 -- true");
    CHECK(refused.status == 124);
    CHECK_THAT(
        refused.errors,
        ContainsSubstring("add disk 'absent.qcow2': No such file or directory; pass a size to create it: --disk FILE,SIZE"));
}

TEST_CASE("in-vm: a kernel and its modules are enough, and a command that is not there is told") {
    const Place place;
    const std::string store = fixture() + "/root/nix/store";
    const auto of_system = [&](const char *name) { return hostside::in_store(store, fixture_toplevel() + name); };
    const Ran ran = in_vm(
        place, std::format("--kernel {} --modules {} -- no-such-program", of_system("/kernel"), of_system("/kernel-modules")));
    INFO(ran.errors);
    CHECK(ran.status == 127);
    CHECK_THAT(ran.errors, ContainsSubstring("run 'no-such-program': No such file or directory"));
}

}  // namespace

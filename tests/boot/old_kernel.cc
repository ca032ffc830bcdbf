// The union on a kernel that can't resend requests: Linux 6.1, which no other test boots.
#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "mounts/base/process.h"
#include "tests/boot/machine.h"

using Catch::Matchers::ContainsSubstring;

namespace {

namespace fs = std::filesystem;

constexpr const char *mount_kill_and_mount = R"sh(#!/bin/busybox sh
export PATH=/bin
mkdir -p /proc /dev /layers /m
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mount -t tmpfs layers /layers
mkdir /layers/lower /layers/upper /layers/work
echo of-the-lower >/layers/lower/file
insmod /fuse.ko
layers=lowerdir=/layers/lower,upperdir=/layers/upper,workdir=/layers/work
unionfs -o mode=store,io_uring=on,$layers /m
echo "mount: $?, reads $(cat /m/file)"
echo of-the-guest >/m/made
kill -9 $(pidof unionfs | tr ' ' '\n' | sort -n | tail -n 1)
sleep 2
cat /m/file
dmesg | grep -o 'unionfs: /m: .*'
umount /m && unionfs -o mode=store,$layers /m
echo "anew: $?, reads $(cat /m/made)"
poweroff -f
)sh";

struct Directory {
    fs::path path;
    Directory() {
        std::string pattern = (fs::temp_directory_path() / "old-kernel.XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    ~Directory() { fs::remove_all(path); }
    Directory(const Directory &) = delete;
    Directory &operator=(const Directory &) = delete;
};

void write_initrd(const fs::path &root, const fs::path &kernel, const fs::path &initrd) {
    fs::create_directories(root / "bin");
    fs::copy_file("/bin/busybox", root / "bin/busybox");
    fs::copy_file(boot_test::build_directory() / "stage1", root / "bin/unionfs");
    for (const auto &module : fs::recursive_directory_iterator(kernel / "lib/modules"))
        if (module.path().filename() == "fuse.ko") fs::copy_file(module.path(), root / "fuse.ko");
    std::ofstream(root / "init") << mount_kill_and_mount;
    fs::permissions(root / "init", fs::perms{0755});
    const std::string pack =
        "cd $0 && for name in $(busybox --list); do [ -e bin/$name ] || ln -s busybox bin/$name; done && "
        "find . | busybox cpio -o -H newc >$1";
    boot_test::must_run({"/bin/sh", "-c", pack, root, initrd});
}

}  // namespace

TEST_CASE("on Linux 6.1 the union says that it doesn't live through its daemon's death, and fails cleanly when that comes") {
    (void)boot_test::fixture();  // skips if no machine can boot here
    const Directory directory;
    std::string kernel = boot_test::must_run({"tests/support/provide-kernel", "6.1"});
    kernel.erase(kernel.find_last_not_of('\n') + 1);
    kernel.erase(0, kernel.rfind('\n') + 1);  // earlier lines are download messages
    write_initrd(directory.path / "root", kernel, directory.path / "initrd");
    const auto exit = base::run({.argv = {"timeout", "120", "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512",
                                          "-nographic", "-no-reboot", "-nic", "none", "-kernel", kernel + "/vmlinux", "-initrd",
                                          directory.path / "initrd", "-append", "console=ttyS0 quiet panic=-1"},
                                 .capture_output = true});
    REQUIRE(exit);
    std::string console = exit->output;
    std::erase(console, '\r');
    INFO(console);
    CHECK(exit->status == 0);
    CHECK_THAT(
        console,
        ContainsSubstring(
            "unionfs: if the daemon crashes, the mount is lost, because this kernel can't resend requests (Linux 6.9 can)\n"));
    CHECK_THAT(console, ContainsSubstring("unionfs: io_uring=on: this kernel doesn't offer it (Linux 6.14 with "
                                          "fuse.enable_uring=1 does), so requests come through /dev/fuse\n"));
    CHECK_THAT(console, ContainsSubstring("mount: 0, reads of-the-lower\n"));
    CHECK_THAT(console, ContainsSubstring("cat: can't open '/m/file': Transport endpoint is not connected\n"));
    CHECK_THAT(console, ContainsSubstring("unionfs: /m: the worker was killed by signal 9; this kernel can't resend requests "
                                          "(Linux 6.9 can), so the mount is lost; unmount it and mount it again\n"));
    CHECK_THAT(console, ContainsSubstring("anew: 0, reads of-the-guest\n"));
}

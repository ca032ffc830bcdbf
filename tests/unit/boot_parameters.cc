#include "mounts/boot/boot_parameters.h"

#include <catch_amalgamated.hpp>

#include "mounts/boot/fstab.h"

using mounts::boot_parameters;
using mounts::parse_command_line;

namespace {

mounts::BootParameters parsed(std::string_view line) {
    auto parameters = boot_parameters(parse_command_line(line));
    REQUIRE(parameters.has_value());
    return *parameters;
}

std::string refused(std::string_view line) {
    const auto parameters = boot_parameters(parse_command_line(line));
    REQUIRE_FALSE(parameters.has_value());
    return message(parameters.error());
}

}  // namespace

TEST_CASE("the kernel's, NixOS's and our own parameters get their values") {
    const auto p = parsed(
        "init=/nix/store/s/init root=LABEL=nixos regInfo=/nix/store/r/registration console=tty0 console=ttyS0,115200 "
        "boot.shell_on_fail stage1panic=1 stage1.union=disk stage1.union.engine=fuse stage1.device-timeout=3 "
        "stage1.share=data:/mnt/data:ro,cache=none stage1.break=mounts");
    CHECK(p.init == "/nix/store/s/init");
    CHECK(p.root == "LABEL=nixos");
    CHECK(p.reginfo == "/nix/store/r/registration");
    CHECK(p.consoles == std::vector<std::string>{"tty0", "ttyS0,115200"});
    CHECK(p.shell_on_fail);
    CHECK(p.panic_on_fail);
    CHECK(p.store_union == mounts::UnionMode::disk);
    CHECK(p.union_engine == mounts::UnionEngine::fuse);
    CHECK(p.device_timeout_s == 3);
    CHECK(p.shares == std::vector<mounts::Share>{{"data", "/mnt/data", "ro,cache=none"}});
    CHECK(p.break_before == std::vector{mounts::protocol::BootPhase::mounts});
}

TEST_CASE("a stop is before a phase, before each step of a kind, or before one step that says something") {
    CHECK(parsed("stage1.break=mount stage1.break=mount:/nix/store stage1.break=grow").break_before_steps ==
          std::vector<std::string>{"mount", "mount:/nix/store", "grow"});
    const auto bad = mounts::boot_parameters({{"stage1.break", "mout"}});
    REQUIRE_FALSE(bad);
    CHECK(
        message(bad.error()) ==
        "kernel parameter 'stage1.break=mout': expected a phase: modules devices mounts system register switch_root; or a step, "
        "as mount or mount:/nix/store: modules wait format fsck fstab mkdir mount union mark keep grow register init "
        "fork new-paths switch_root");
}

TEST_CASE("the later of two counts, and what is not ours is left alone") {
    CHECK(parsed("stage1.union=disk stage1.union=off").store_union == mounts::UnionMode::off);
    CHECK_FALSE(parsed("ro rw").root_read_only);
    CHECK(parsed("systemd.unit=rescue.target rd.luks=\xff\xfe quiet").init.empty());
}

TEST_CASE("who chooses options of unionfs gets unionfs") {
    const auto p = parsed("stage1.union.engine=auto stage1.union.options=mode=throughput,volatile");
    CHECK(p.union_options == "mode=throughput,volatile");
    CHECK(p.union_engine == mounts::UnionEngine::fuse);
}

TEST_CASE("who wants to know which paths are used gets unionfs, and can't have the kernel's union") {
    const auto p = parsed("stage1.union.trace=paths");
    CHECK(p.union_trace);
    CHECK(p.union_engine == mounts::UnionEngine::fuse);
    CHECK_FALSE(parsed("stage1.union.trace=paths stage1.union.trace=off").union_trace);
    CHECK(refused("stage1.union.trace=paths stage1.union.engine=overlay") ==
          "kernel parameter 'stage1.union.trace=paths': only unionfs can trace paths, but stage1.union.engine=overlay is given");
}

TEST_CASE("a bad value of one of our parameters is an error that names it") {
    CHECK(refused("stage1.union=ramdisk") == "kernel parameter 'stage1.union=ramdisk': expected off | tmpfs | disk");
    CHECK(refused("stage1.device-timeout=-1") == "kernel parameter 'stage1.device-timeout=-1': expected seconds from 0 to 3600");
    CHECK(refused("stage1.device-timeout=9x") == "kernel parameter 'stage1.device-timeout=9x': expected seconds from 0 to 3600");
    CHECK(refused("stage1.share=data") ==
          "kernel parameter 'stage1.share=data': expected TAG:TARGET[:OPTIONS] with an absolute TARGET");
    CHECK(refused("stage1.union.options=mode=store,lowerdir=/") ==
          "kernel parameter 'stage1.union.options=mode=store,lowerdir=/': expected options of unionfs(8): mode= | io_uring= | "
          "max_files= | stale_readers | volatile, with commas");
    CHECK(refused("stage1.union.options=volatile stage1.union.engine=overlay") ==
          "kernel parameter 'stage1.union.options=volatile': these options are unionfs's, but stage1.union.engine=overlay is "
          "given");
    CHECK(refused("init=bin/sh") == "kernel parameter 'init=bin/sh': expected an absolute path in the target root");
    CHECK(refused("stage1.unoin=off") == "kernel parameter 'stage1.unoin': stage1 has no parameter of this name; see stage1(8)");
}

TEST_CASE("a share at a place that it would hide, or that would hide it, is refused in words; beneath /run is room") {
    const auto refused = [](const std::string &target) {
        const auto parameters = mounts::boot_parameters(mounts::parse_command_line("stage1.share=data:" + target));
        REQUIRE_FALSE(parameters.has_value());
        return message(parameters.error());
    };
    const auto what = [](const std::string &target, const std::string &at, const std::string &why) {
        return "kernel parameter 'stage1.share=data:" + target + "': nothing can be shared at " + at + ": " + why +
               "; choose another target, as /mnt/data";
    };
    CHECK(refused("/") == what("/", "/", "it is the root"));
    CHECK(refused("//nix/./store/") == what("//nix/./store/", "/nix/store", "it is the store's"));
    CHECK(refused("/nix/.rw-store") == what("/nix/.rw-store", "/nix/.rw-store", "it is the store's"));
    CHECK(refused("/run/") ==
          what("/run/", "/run", "it is already mounted, and stage 2 needs its content (a directory in it will do)"));
    CHECK(refused("/dev/x") == what("/dev/x", "/dev/x", "it belongs to the kernel"));
    CHECK(refused("/mnt/../etc") == "kernel parameter 'stage1.share=data:/mnt/../etc': expected a TARGET without '..'");
    const auto parameters = mounts::boot_parameters(mounts::parse_command_line("stage1.share=a:/run//a/ stage1.share=b:/device"));
    REQUIRE(parameters.has_value());
    CHECK(parameters->shares[0].target == "/run/a");
    CHECK(parameters->shares[1].target == "/device");
}

TEST_CASE("a share that comes over virtiofs is mounted without 9p's options, and the others stay as they are") {
    const auto parameters = mounts::boot_parameters(mounts::parse_command_line(
        "stage1.share=data:/mnt/data:ro,msize=4096 stage1.share=old:/mnt/old stage1.virtiofs=xchg,data"));
    REQUIRE(parameters);
    auto table = mounts::parse_fstab(mounts::default_fstab(131072), "built-in");
    REQUIRE(table);
    const auto applied = mounts::apply_parameters(std::move(table->file_systems), *parameters, 131072);
    REQUIRE(applied);
    std::string told;
    for (const auto &fs : *applied)
        if (fs.source == "xchg" || fs.source == "shared" || fs.source == "data" || fs.source == "old")
            told += fs.source + " " + fs.type + " " + fs.options + "\n";
    CHECK(told ==
          "data virtiofs rw,ro\n"
          "old 9p rw,trans=virtio,version=9p2000.L,cache=mmap,msize=131072\n"
          "shared 9p rw,trans=virtio,version=9p2000.L,cache=mmap,msize=131072\n"
          "xchg virtiofs rw\n");
    CHECK(refused("stage1.virtiofs=a,,b") == "kernel parameter 'stage1.virtiofs=a,,b': expected mount tags, separated by commas");
}

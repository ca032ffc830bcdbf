#include "mounts/boot/plan.h"

#include <catch_amalgamated.hpp>

using namespace mounts;

namespace {

PlanInput input(std::string_view command_line) {
    auto parameters = boot_parameters(parse_command_line(command_line));
    REQUIRE(parameters.has_value());
    auto table = parse_fstab(default_fstab(512000), "built-in");
    REQUIRE(table.has_value());
    auto file_systems = apply_parameters(table->file_systems, *parameters, 512000);
    REQUIRE(file_systems.has_value());
    return {
        .file_systems = *file_systems, .parameters = *parameters, .target_root = "/mnt-root", .memory_bytes = uint64_t{1} << 30};
}

std::string text(const Phase &phase) {
    std::string out;
    for (const Step &step : phase.steps) out += describe(step) + "\n";
    return out;
}

}  // namespace

TEST_CASE("without a union the store is mounted where it belongs, read-only") {
    CHECK(text(plan_mounts(input("init=/i stage1.union=off"))) ==
          "mkdir -p /mnt-root mode 0755\n"
          "mount -t ext4 -o rw /dev/vda /mnt-root (as what the device holds, if that is another type)\n"
          "mkdir -p /mnt-root/tmp mode 1777\n"
          "mkdir -p /mnt-root/nix/store mode 0755\n"
          "mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 store /mnt-root/nix/store\n"
          "mkdir -p /mnt-root/tmp/shared mode 0755\n"
          "mount -t 9p -o rw,trans=virtio,version=9p2000.L,cache=mmap,msize=512000 shared /mnt-root/tmp/shared\n"
          "mkdir -p /mnt-root/tmp/xchg mode 0755\n"
          "mount -t 9p -o rw,trans=virtio,version=9p2000.L,cache=mmap,msize=512000 xchg /mnt-root/tmp/xchg\n"
          "keep tmp.mount of systemd from hiding /tmp/shared\n");
}

TEST_CASE("a union on tmpfs gets half of the memory, one on the disk none of it") {
    const std::string tmpfs = text(plan_mounts(input("init=/i stage1.union=tmpfs")));
    CHECK(tmpfs.contains("mount -t tmpfs -o mode=755,size=524288k,nr_inodes=1m tmpfs /mnt-root/nix/.rw-store\n"));
    const std::string disk = text(plan_mounts(input("init=/i stage1.union=disk")));
    CHECK_FALSE(disk.contains("tmpfs"));
    for (const auto &plan : {tmpfs, disk})
        CHECK(plan.contains(
            "union (auto) lower /mnt-root/nix/.ro-store upper /mnt-root/nix/.rw-store/upper work /mnt-root/nix/.rw-store/work "
            "at /mnt-root/nix/store\n"));
}

TEST_CASE("a union that notes which paths are used is mounted after xchg, into which it writes") {
    const std::string plan = text(plan_mounts(input("init=/i stage1.union=tmpfs stage1.union.trace=paths")));
    const size_t shared = plan.find(" xchg /mnt-root/tmp/xchg\n");
    const size_t joined = plan.find("union (fuse) ");
    REQUIRE(shared != std::string::npos);
    REQUIRE(joined != std::string::npos);
    CHECK(shared < joined);
    CHECK(plan.contains(" at /mnt-root/nix/store, tracing used paths to /mnt-root/tmp/xchg/stage1-paths\n"));
    const auto without = boot_parameters(parse_command_line("stage1.union=off stage1.union.trace=paths"));
    REQUIRE(without);
    CHECK(apply_parameters(parse_fstab(default_fstab(512000), "built-in")->file_systems, *without, 512000)
              .error()
              .hint.contains("has none"));
}

TEST_CASE("only what this boot needs is loaded, and only its devices are waited for") {
    CHECK(text(plan_modules(input("init=/i root=tmpfs stage1.union=off"))) ==
          "load modules 9pnet_virtio fs-9p for the file systems\n");
    CHECK(text(plan_modules(input("init=/i stage1.union=disk stage1.union.engine=fuse"))).contains("fs-fuse"));
    CHECK(text(plan_devices(input("init=/i root=tmpfs"))).empty());
    CHECK(text(plan_devices(input("init=/i stage1.device-timeout=5"))) ==
          "wait for /dev/vda at most 5 s\nformat /dev/vda as ext4 if it is proven empty, else keep it\n"
          "check /dev/vda (ext4) if the initrd has its fsck\n");
}

TEST_CASE("a root that is named by its content is made on the disk that nothing was ever written to") {
    CHECK(text(plan_devices(input("init=/i root=/dev/disk/by-label/data stage1.fresh-disk=root"))) ==
          "wait for serial=root at most 20 s\n"
          "format serial=root as ext4 if it is proven empty as /dev/disk/by-label/data, unless a device has that, else keep it\n"
          "wait for /dev/disk/by-label/data at most 20 s\n"
          "format /dev/disk/by-label/data as ext4 if it is proven empty, else keep it\n"
          "check /dev/disk/by-label/data (ext4) if the initrd has its fsck\n");
    for (const char *root : {"root=uuid=\"22222222-2222-2222-2222-222222222222\"", "root=LABEL=nixos"})
        CHECK(text(plan_devices(input(std::string("init=/i stage1.fresh-disk=root ") + root)))
                  .contains("unless a device has that"));
    for (const char *other : {"root=LABEL=x", "root=/dev/vda stage1.fresh-disk=root", "root=PARTLABEL=x stage1.fresh-disk=root",
                              "root=serial=root stage1.fresh-disk=root", "root=LABEL=x rootfstype=xfs stage1.fresh-disk=root"})
        CHECK_FALSE(text(plan_devices(input(std::string("init=/i ") + other))).contains("unless a device has that"));
}

TEST_CASE("a bind mount and an overlay are of places in the root, and wait for no device; several devices are waited for") {
    PlanInput table = input("init=/i");
    auto parsed = parse_fstab(
        "/dev/vda:/dev/vdb / bcachefs rw 0 1\n/persist//var /var none bind,x-systemd.requires=x 0 0\n/dev/vdc none swap sw\n"
        "overlay /o overlay lowerdir=/l,upperdir=/p/u,workdir=/p/w 0 0\n",
        "f");
    REQUIRE(parsed.has_value());
    table.file_systems = parsed->file_systems;
    table.passed_over = parsed->passed_over;
    CHECK(text(plan_devices(table)) == "wait for /dev/vda at most 20 s\nwait for /dev/vdb at most 20 s\n");
    CHECK(text(plan_modules(table)) == "load modules fs-bcachefs fs-overlay for the file systems\n");
    CHECK(text(plan_mounts(table)) ==
          "fstab 'f': line 3 (/dev/vdc none) is skipped: stage 2 turns swap space on\n"
          "mkdir -p /mnt-root mode 0755\n"
          "mount -t bcachefs -o rw /dev/vda:/dev/vdb /mnt-root\n"
          "mkdir -p /mnt-root/tmp mode 1777\n"
          "mkdir -p /mnt-root/o mode 0755\n"
          "mkdir -p /mnt-root/p/u mode 0755\n"
          "mkdir -p /mnt-root/p/w mode 0755\n"
          "mount -t overlay -o lowerdir=/l,upperdir=/p/u,workdir=/p/w overlay /mnt-root/o\n"
          "make /mnt-root/persist/var and, of the same kind, /mnt-root/var\n"
          "mount -t none -o bind /mnt-root/persist/var /mnt-root/var\n");
}

TEST_CASE("what is mounted beneath /run is mounted in the /run that goes along, but where none does in the root's") {
    PlanInput share = input("init=/i stage1.share=data:/run/data");
    CHECK(text(plan_mounts(share)).contains("msize=512000 data /run/data\n"));
    share.run_goes_along = false;
    CHECK(text(plan_mounts(share)).contains("msize=512000 data /mnt-root/run/data\n"));
}

TEST_CASE("a root that somebody else mounted is not mounted again") {
    PlanInput hook = input("");
    hook.root_mounted = true;
    CHECK_FALSE(text(plan_mounts(hook)).contains("ext4"));
}

TEST_CASE("a boot without init= is refused by its name") {
    const auto plan = plan_boot(input("quiet"));
    REQUIRE_FALSE(plan.has_value());
    CHECK(message(plan.error()) ==
          "kernel parameter 'init=': not given; it names the program of stage 2 in the target root, such as "
          "init=/nix/store/…-nixos-system-…/init");
}

TEST_CASE("the phases of a boot are in the order in which they build on each other") {
    const auto plan = plan_boot(input("init=/nix/store/s/init regInfo=/nix/store/r/registration"));
    REQUIRE(plan.has_value());
    std::string names;
    for (const Phase &phase : *plan) (names += phase.name()) += ' ';
    CHECK(names == "modules devices mounts system register switch_root ");
    CHECK(text((*plan)[4]) == "register /nix/store/r/registration in /mnt-root\n");
}

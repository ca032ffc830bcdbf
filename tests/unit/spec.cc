#include "mounts/boot/fstab.h"

#include <catch_amalgamated.hpp>
#include <ranges>

using mounts::apply_parameters;
using mounts::BootParameters;
using mounts::default_fstab;
using mounts::FileSystem;
using mounts::parse_fstab;
using mounts::UnionMode;

namespace {

std::vector<FileSystem> parsed(const std::string &text) {
    auto table = parse_fstab(text, "test");
    REQUIRE(table.has_value());
    return table->file_systems;
}

std::string refused(const std::string &text) {
    const auto table = parse_fstab(text, "/etc/stage1/fstab");
    REQUIRE_FALSE(table.has_value());
    return message(table.error());
}

std::vector<std::string> targets(const std::vector<FileSystem> &table) {
    return table | std::views::transform(&FileSystem::target) | std::ranges::to<std::vector>();
}

}  // namespace

TEST_CASE("the built-in default is the 2013 module's: root, store, xchg, shared") {
    const auto table = parsed(default_fstab(131072));
    CHECK(targets(table) == std::vector<std::string>{"/", "/nix/store", "/tmp/shared", "/tmp/xchg"});
    CHECK(table[0].mkfs);
    CHECK(table[0].check_pass == 1);
    CHECK(table[1].options == "ro,trans=virtio,version=9p2000.L,cache=loose,msize=131072");
    CHECK(table[3].options == "rw,trans=virtio,version=9p2000.L,cache=mmap,msize=131072");
}

TEST_CASE("a table is sorted so that a parent is mounted before its children, and our options are taken out") {
    const auto table = parsed(
        "# a comment\nstore /nix/store 9p ro,x-stage1.union=disk 0 0\n\nLABEL=data /data\\040set xfs "
        "nofail,noatime,x-mount.mkdir\n"
        "/dev/vda / ext4 x-stage1.mkfs,x-nixos.autoresize 0 1\n");
    CHECK(targets(table) == std::vector<std::string>{"/", "/data set", "/nix/store"});
    CHECK(table[0].autoresize);
    CHECK(table[1].optional);
    CHECK(table[1].source == "LABEL=data");
    CHECK(table[1].options == "nofail,noatime");
    CHECK(table[2].store_union == UnionMode::disk);
    CHECK(table[2].options == "ro");
}

TEST_CASE("a table that is wrong is refused with what is wrong") {
    CHECK(refused("/dev/vda /\n") == "fstab '/etc/stage1/fstab': line 1 is not one of fstab(5): source, target, type, options");
    CHECK(refused("tmpfs /tmp tmpfs defaults 0 0\n") == "fstab '/etc/stage1/fstab': no file system for '/'");
    CHECK(refused("") == "fstab '/etc/stage1/fstab': no file system for '/'");
    CHECK(refused("a / ext4 rw 0 0\nb / ext4 rw 0 0\n") ==
          "fstab '/etc/stage1/fstab': line 2, mount point: line 1 has a file system for '/' too");
    CHECK(refused("a / xfs x-stage1.mkfs 0 0\n") ==
          "fstab '/etc/stage1/fstab': line 1, type: x-stage1.mkfs of /: only ext4 can be made, not xfs");
    CHECK(refused("a / ext4 x-stage1.mkfss 0 0\n") ==
          "fstab '/etc/stage1/fstab': line 1, options: 'x-stage1.mkfss' of /: expected x-stage1.mkfs, x-stage1.optional or "
          "x-stage1.union=off|tmpfs|disk");
}

TEST_CASE("lines for others are passed over with a word, and a target is the same place however many slashes it has") {
    const auto table = parse_fstab(
        "/dev/vda / ext4 rw 0 1\n# swap\n\n/dev/vdb none swap sw 0 0\n/dev/vdc swap swap defaults 0 0\n"
        "/dev/vdd /old ext4 ro,noauto 0 0\nstore //nix/./store/ 9p ro,x-stage1.union=tmpfs,x-systemd.automount 0 0\n",
        "/etc/stage1/fstab");
    REQUIRE(table.has_value());
    CHECK(targets(table->file_systems) == std::vector<std::string>{"/", "/nix/store"});
    CHECK(table->file_systems[1].store_union == UnionMode::tmpfs);
    CHECK(table->file_systems[1].options == "ro");
    CHECK(table->passed_over ==
          std::vector<std::string>{
              "fstab '/etc/stage1/fstab': line 4 (/dev/vdb none) is skipped: stage 2 turns swap space on",
              "fstab '/etc/stage1/fstab': line 5 (/dev/vdc swap) is skipped: stage 2 turns swap space on",
              "fstab '/etc/stage1/fstab': line 6 (/dev/vdd /old) is skipped: noauto: it is mounted on demand"});
}

TEST_CASE("a field that is wrong is named with its line") {
    const auto of = [](const std::string &line) { return refused("# root\na / ext4\n\n" + line + "\n"); };
    const std::string at = "fstab '/etc/stage1/fstab': line 4, ";
    CHECK(of("b /mnt/../etc ext4") == at + "mount point: '/mnt/../etc' must not contain '..'");
    CHECK(of("b mnt ext4") == at + "mount point: 'mnt' is not an absolute path");
    CHECK(of("persist/var /var none bind") == at + "source: 'persist/var' is not an absolute path in the root");
    CHECK(of("/a/../b /var none rbind") == at + "source: '/a/../b' must not contain '..'");
    CHECK(of("overlay /o overlay lowerdir=/a:b") == at + "options: 'b' is not an absolute path in the root");
    CHECK(of("/dev/vda:/dev/vdb /o ext4 x-stage1.mkfs") ==
          at + "source: x-stage1.mkfs of /o: '/dev/vda:/dev/vdb' is not a device");
}

TEST_CASE("what a bind mount or an overlay takes from the root is mounted before it") {
    CHECK(targets(parsed("/persist/etc /etc none bind\n/dev/vda / ext4\noverlay /a overlay lowerdir=/persist/x,upperdir=/z/u\n"
                         "LABEL=p /persist ext4\nz /z tmpfs\n")) ==
          std::vector<std::string>{"/", "/persist", "/etc", "/z", "/a"});
    // A cycle: keeps the written order.
    CHECK(
        targets(parsed("/dev/vda / ext4\n/b /c none bind\no /b overlay lowerdir=/c,upperdir=/u,workdir=/w\n/s /s none bind\n")) ==
        std::vector<std::string>{"/", "/s", "/c", "/b"});
}

TEST_CASE("kernel parameters change the root, the union, /boot and the shares") {
    BootParameters parameters;
    parameters.root = "UUID=1234-5678";
    parameters.root_options = "noatime";
    parameters.store_union = UnionMode::tmpfs;
    parameters.boot = "LABEL=boot";
    parameters.shares = {{"data", "/mnt", "ro"}, {"other", "/tmp/shared", ""}};
    const auto table = apply_parameters(parsed(default_fstab(512000)), parameters, 512000);
    REQUIRE(table.has_value());
    CHECK(targets(*table) == std::vector<std::string>{"/", "/boot", "/mnt", "/nix/store", "/tmp/shared", "/tmp/xchg"});
    CHECK((*table)[0].source == "UUID=1234-5678");
    CHECK((*table)[0].options == "rw,noatime");
    CHECK((*table)[0].mkfs);
    CHECK((*table)[1].options == "ro");
    CHECK((*table)[3].store_union == UnionMode::tmpfs);
    CHECK((*table)[4].source == "other");
}

TEST_CASE("root=tmpfs needs no disk, and a union needs a store to lie on") {
    BootParameters parameters;
    parameters.root = "tmpfs";
    const auto table = apply_parameters(parsed(default_fstab(512000)), parameters, 512000);
    REQUIRE(table.has_value());
    CHECK((*table)[0].type == "tmpfs");
    CHECK_FALSE((*table)[0].mkfs);
    CHECK((*table)[0].options == "mode=755");

    parameters.root_options = "size=20%,x-nixos.autoresize";
    parameters.root_read_only = true;
    const auto with_size = apply_parameters(parsed(default_fstab(512000)), parameters, 512000);
    REQUIRE(with_size.has_value());
    CHECK((*with_size)[0].options == "mode=755,size=20%");
    CHECK_FALSE((*with_size)[0].autoresize);

    parameters.store_union = UnionMode::disk;
    const auto without_store = apply_parameters(parsed("/dev/vda / ext4 rw 0 1\n"), parameters, 512000);
    REQUIRE_FALSE(without_store.has_value());
    CHECK(message(without_store.error()) ==
          "kernel parameter 'stage1.union=disk': the fstab has no /nix/store for a union to lie on");
}

TEST_CASE("root=vda is the device of that name, but a root of 9p is its tag") {
    BootParameters parameters;
    parameters.root = "vda";
    CHECK((*apply_parameters(parsed("tmpfs / ext4\n"), parameters, 512000))[0].source == "/dev/vda");
    parameters.root_type = "9p";
    CHECK((*apply_parameters(parsed("tmpfs / ext4\n"), parameters, 512000))[0].source == "vda");
}

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
    return *table;
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
    CHECK(refused("a / ext4 rw 0 0\nb / ext4 rw 0 0\n") == "fstab '/etc/stage1/fstab': two file systems for '/'");
    CHECK(refused("a / xfs x-stage1.mkfs 0 0\n") ==
          "fstab '/etc/stage1/fstab': x-stage1.mkfs of /: only ext4 can be made, not xfs");
    CHECK(refused("a / ext4 x-stage1.mkfss 0 0\n") ==
          "fstab '/etc/stage1/fstab': option 'x-stage1.mkfss' of /: expected x-stage1.mkfs, x-stage1.optional or "
          "x-stage1.union=off|tmpfs|disk");
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

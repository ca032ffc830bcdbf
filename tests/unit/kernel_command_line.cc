// Which file system table a guest uses: words on its command line that depend on the system and the machine.
#include "hostside/boot/kernel_command_line.h"

#include <catch_amalgamated.hpp>
#include <ranges>

#include "hostside/boot/guest_fstab.h"
#include "hostside/description/description.h"

namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Names = std::vector<std::string>;

hostside::Machine machine(const std::string &description) {
    auto machine = hostside::machine_from({{"test", description, false}});
    REQUIRE(machine);
    return *machine;
}

std::string root_words(const std::string &description, std::string_view params) {
    std::string words;
    for (auto part : std::views::split(hostside::kernel_command_line(machine(description), params, "/init"), ' '))
        if (const std::string word{std::string_view(part)}; word.starts_with("root=")) words += (words.empty() ? "" : " ") + word;
    return words;
}

Names absent(const std::string &fstab, const std::string &description = "{}") {
    return hostside::absent_file_systems(fstab, machine(description));
}

}  // namespace

TEST_CASE("a system whose parameters end in root=fstab keeps that with an initrd of its own; ours has the root by its serial") {
    CHECK(root_words(R"({"initrd": "/initrd"})", "quiet root=fstab\n") == "root=fstab");
    CHECK(root_words(R"({"initrd": "/initrd"})", "root=/dev/sda root=fstab loglevel=4") == "root=/dev/sda root=fstab");
    CHECK(root_words(R"({"initrd": "/initrd"})", "root=fstab root=/dev/sda") == "root=fstab root=/dev/sda root=serial=root");
    CHECK(root_words(R"({"initrd": "/initrd"})", "quiet") == "root=serial=root");
    CHECK(root_words("{}", "root=fstab") == "root=fstab root=serial=root");
    CHECK(root_words(R"({"initrd": "/initrd", "rootDevice": "LABEL=x"})", "root=fstab") == "root=fstab root=LABEL=x");
    CHECK(root_words(R"({"rootDevice": "fstab"})", "quiet") == "root=fstab");
}

TEST_CASE("fstab=no keeps stage 2 from the system's table, and its own initrd from nothing") {
    CHECK_THAT(hostside::kernel_command_line(machine(R"({"fstab": "no"})"), "", "/init"), EndsWith(" fstab=no"));
    CHECK_THAT(hostside::kernel_command_line(machine(R"({"fstab": "no", "initrd": "/initrd"})"), "", "/init"),
               EndsWith(" fstab=no rd.fstab=yes"));
    for (const char *other : {R"({"fstab": "yes"})", R"({"fstab": "auto"})"})
        CHECK_THAT(hostside::kernel_command_line(machine(other), "", "/init"), !ContainsSubstring("fstab"));
}

TEST_CASE("a computer's fstab names what a machine has not; a machine's own doesn't, nor what nobody waits for") {
    CHECK(
        absent(
            "# comment\n/dev/disk/by-uuid/1 / ext4 rw 0 1\n/dev/disk/by-uuid/2\t/boot vfat umask=77 0 2\nLABEL=s none swap\n") ==
        Names{"/boot (/dev/disk/by-uuid/2)", "swap (LABEL=s)"});
    CHECK(absent("UUID=1 /a ext4 noauto\nUUID=2 /b ext4 rw,nofail 0 2\nPARTUUID=3 /c xfs x-systemd.automount,rw\n"
                 "/dev/sdb1 /nix ext4 x-initrd.mount 0 2\n")
              .empty());
    CHECK(absent("/dev/disk/by-label/nixos / ext4 x-initrd.mount 0 1\nLABEL=nixos /var ext4\nnix-store /nix/.ro-store 9p ro 0 0\n"
                 "tmpfs /tmp tmpfs mode=1777 0 0\n/var/x /x none bind\n/dev/vda /root ext4\n")
              .empty());
    CHECK(absent("/dev/vdb /data ext4 rw 0 0") == Names{"/data (/dev/vdb)"});
    CHECK(absent("/dev/vdb /data ext4 rw 0 0", R"({"emptyDiskImages": [64]})").empty());
    CHECK(absent("/dev/vda1 /boot ext4\n/dev/vda", R"({"emptyDiskImages": [64]})") == Names{"/boot (/dev/vda1)"});
    CHECK(absent("/dev/\x1b[2J /\xff ext4") == Names{"/? (/dev/?[2J)"});
}

TEST_CASE("nobody can tell what is on disks that somebody else filled") {
    constexpr const char *fstab = "UUID=1 /boot vfat\n";
    CHECK(absent(fstab, R"({"rootDevice": "/dev/vda2"})").empty());
    for (const char *disk : {"-hdb x", "--drive if=none,id=d", "-device nvme,serial=1", "-device virtio-blk-pci,drive=d"})
        CHECK(absent(fstab, std::format(R"({{"qemu": {{"options": ["{}"]}}}})", disk)).empty());
    CHECK(absent(fstab, R"({"qemu": {"options": ["-device virtio-rng-pci", "-vga none", "-name hda"]}})").size() == 1);
    for (const char *known : {R"({"rootDevice": "fstab"})", R"({"rootDevice": "serial=root"})", R"({"diskImage": null})"})
        CHECK(absent(fstab, known).size() == 1);
}

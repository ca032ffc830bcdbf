// The root's mount unit that our generator writes for systemd in the initrd.
#include "stage1/commands/generator.h"

#include <catch_amalgamated.hpp>

#include "stage1/base/boot_input.h"

namespace {

std::string unit(const std::string &command_line, const std::string &fstab = "") {
    const auto input =
        stage1::boot_input({.command_line = command_line, .parameters = {}, .fstab = fstab, .modules = {}}, "/sysroot");
    REQUIRE(input);
    return stage1::sysroot_mount(*input);
}

}  // namespace

using Catch::Matchers::ContainsSubstring;

TEST_CASE("a root that systemd has words for is left to systemd") {
    for (const char *root : {"root=/dev/vda", "root=LABEL=nixos", "root=UUID=1234", "root=PARTUUID=1234"})
        CHECK(unit(root).empty());
}

TEST_CASE("for a root by serial, or that no root= names, systemd mounts the device that stage1 found") {
    for (const char *root : {"root=serial=root", "", "root=fstab"})
        CHECK(unit(root) ==
              "[Unit]\nDescription=Root file system, as stage1 found it\nDocumentation=man:stage1(8)\n"
              "Requires=stage1-devices.service\nAfter=stage1-devices.service\nBefore=initrd-root-fs.target\n\n"
              "[Mount]\nWhat=/run/stage1/root\nWhere=/sysroot\nType=ext4\nOptions=rw\n");
    CHECK_THAT(unit("root=serial=x rootfstype=xfs rootflags=noatime"), ContainsSubstring("Type=xfs\nOptions=rw,noatime\n"));
}

TEST_CASE("a root on tmpfs is a unit without a device") {
    CHECK_THAT(unit("root=tmpfs"), ContainsSubstring("What=tmpfs\nWhere=/sysroot\nType=tmpfs\nOptions=mode=755\n"));
    CHECK_THAT(unit("", "tmpfs / tmpfs size=1g 0 0\n"), ContainsSubstring("What=tmpfs\n"));
}

TEST_CASE("root=fstab leaves the table's root as it is, and root=gpt-auto is refused with what can be named instead") {
    const auto input = stage1::boot_input(
        {.command_line = "root=/dev/vdb root=fstab", .parameters = {}, .fstab = "/dev/vdc / xfs noatime 0 1\n", .modules = {}},
        "/sysroot");
    REQUIRE(input);
    CHECK(input->file_systems.front().source == "/dev/vdc");
    CHECK(input->file_systems.front().type == "xfs");
    const auto refused =
        stage1::boot_input({.command_line = "root=gpt-auto", .parameters = {}, .fstab = {}, .modules = {}}, "/sysroot");
    REQUIRE_FALSE(refused);
    CHECK_THAT(message(refused.error()), ContainsSubstring("'root=gpt-auto'") && ContainsSubstring("PARTUUID="));
}

// Boots through a real boot loader: the system's own switch-to-configuration makes the disk in a machine. The output of the
// firmware, GRUB and the kernel on the console proves that each of them ran.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/at.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

// A place whose machines boot a system of the fixture; extra arguments come last.
struct Loader {
    explicit Loader(const std::string &script) : place(script) {}
    [[nodiscard]] base::Exit runvm(const std::string &verb, const std::vector<std::string> &more,
                                   const std::string &system = "loader") const {
        std::vector<std::string> words{verb,
                                       "--accel",
                                       "tcg",
                                       "--store",
                                       fixture() + "/root/nix/store",
                                       "--toplevel",
                                       first_line(fixture() + "/" + system + "/toplevel"),
                                       "--boot-disk",
                                       boot_disk(),
                                       "--memory",
                                       "512M"};
        words.insert(words.end(), more.begin(), more.end());
        return place.runvm(words);
    }
    [[nodiscard]] std::string boot_disk() const { return place.directory() + "/boot.qcow2"; }
    Place place;
};

std::string disk_time(const std::string &path) { return std::format("{}", fs::last_write_time(path).time_since_epoch().count()); }

TEST_CASE("a machine boots through GRUB from a disk that its own system made, with the launcher's parameters and its closure") {
    const Loader loader(R"sh(set -e
findmnt -n -o FSTYPE,OPTIONS /boot | grep -E '^ext4 +ro'
findmnt -n -o SOURCE / | grep -x /dev/vda
findmnt -n -o FSTYPE /nix/store | grep -E 'overlay|fuse'
grep -F root=fstab /proc/cmdline
if grep -E 'stage1[.]|regInfo|root=serial' /proc/cmdline; then exit 1; fi
system=$(sed -n 's|.*init=\([^ ]*\)/init.*|\1|p' /proc/cmdline)
nix-store -qR $system | grep -c . | sed 's|^|closure of |'
[ -s /boot/grub/i386-pc/core.img ]
echo "the partition: $(cat /sys/class/block/vdb1/start) $(blkid -o value -s LABEL /dev/vdb1)"
echo kept >/kept; exit 5)sh");
    const auto first = loader.runvm("run", {"--use-boot-loader", "--timeout", "300"});
    INFO(first.output);
    CHECK(first.status == 5);
    CHECK_THAT(first.output, ContainsSubstring("making the boot disk " + loader.boot_disk()) && ContainsSubstring("SeaBIOS") &&
                                 ContainsSubstring("GRUB of the fixture, on pc") && ContainsSubstring("fixture: stage 2 at") &&
                                 ContainsSubstring("the partition: 2048 boot") && ContainsSubstring("closure of "));
    const std::string made = disk_time(loader.boot_disk());

    // Not made again, and no question asked, until one of its inputs changes.
    std::ofstream(loader.place.shared() + "/cmd") << "cat /kept\n";
    const auto second = loader.runvm("run", {"--use-boot-loader", "--timeout", "300"});
    INFO(second.output);
    CHECK(second.status == 0);
    CHECK_THAT(second.output, ContainsSubstring("kept") && !ContainsSubstring("making the boot disk"));
    CHECK(disk_time(loader.boot_disk()) == made);

    // What is printed does the same: it makes the disk again, because its size is another now, and starts the TPM that it has.
    // Nobody answers at the status port, which the rest of the fixture's stage 2 would wait for.
    std::ofstream(loader.place.shared() + "/cmd")
        << "set -e; cat /kept; ls -d /sys/class/tpm/tpm0; blockdev --getsize64 /dev/vdb; sync; busybox poweroff -f\n";
    const auto printed = loader.runvm("run", {"--print", "--use-boot-loader", "--boot-disk-size", "200", "--tpm",
                                              "--tpm-state-directory", loader.place.directory() + "/tpm"});
    INFO(printed.output);
    REQUIRE(printed.status == 0);
    CHECK(disk_time(loader.boot_disk()) == made);
    const std::string directory = loader.place.directory();
    const auto third =
        base::run({.argv = {"/usr/bin/env", "XDG_RUNTIME_DIR=" + directory + "/run", "XDG_STATE_HOME=" + directory + "/state",
                            "timeout", "400", "sh", "-ec", "exec </dev/null\n" + printed.output},
                   .capture_output = true});
    REQUIRE(third);
    INFO(third->output);
    CHECK(third->status == 0);
    CHECK_THAT(third->output, ContainsSubstring("making the boot disk " + loader.boot_disk()) && ContainsSubstring("kept") &&
                                  ContainsSubstring("/sys/class/tpm/tpm0") && ContainsSubstring(std::to_string(200 << 20)));
    CHECK(disk_time(loader.boot_disk()) != made);
}

// What the guest says of its firmware: the loader that started it, the firmware's entries, what was measured, and a variable that
// it makes at its first boot.
constexpr const char *asks_firmware = R"sh(set -e
findmnt -n -o FSTYPE,OPTIONS /boot | grep -E '^vfat +ro'
mount -t efivarfs efivarfs /sys/firmware/efi/efivars
cd /sys/firmware/efi/efivars
for name in LoaderInfo LoaderEntrySelected; do
    for file in $name-*; do [ ! -e $file ] || echo "$name: $(cat $file | tail -c +5 | tr -d '\000')"; done
done
for file in Boot0*; do cat $file | tr -d '\000' | grep -ao 'Linux Boot Manager' | sed 's/^/the firmware has: /'; done
ours=Ours-12345678-1234-1234-1234-123456789abc
if [ -e $ours ]; then echo "ours was $(cat $ours | tail -c +5)"; else echo "ours was not there"; printf '\007\000\000\000kept' >$ours; fi
for pcr in 0 4 7 16; do
    file=/sys/class/tpm/tpm0/pcr-sha256/$pcr
    [ ! -e $file ] || echo "PCR $pcr is $(grep -qx '0*' $file && echo zero || echo extended)"
done)sh";

TEST_CASE(
    "a machine boots through systemd-boot and then GRUB from an ESP, with the variables that the installer wrote or without") {
    const Loader loader(asks_firmware);
    const auto run = [&](const std::string &variables, std::vector<std::string> more, const std::string &system) {
        std::vector<std::string> words{"--use-boot-loader",   "--use-efi-boot",
                                       "--extra-modules",     "efivarfs",
                                       "--efi-own-variables", loader.place.directory() + "/" + variables,
                                       "--timeout",           "400"};
        words.insert(words.end(), more.begin(), more.end());
        return loader.runvm("run", words, system);
    };
    const auto making = ContainsSubstring("making the boot disk " + loader.boot_disk());
    const auto first = run("vars.fd", {"--tpm", "--tpm-state-directory", loader.place.directory() + "/tpm"}, "systemd-boot");
    INFO(first.output);
    CHECK(first.status == 0);
    CHECK_THAT(first.output, making && ContainsSubstring("the fixture") &&
                                 ContainsSubstring("EFI stub: Loaded initrd from LINUX_EFI_INITRD_MEDIA_GUID device path"));
    CHECK_THAT(first.output, ContainsSubstring("LoaderInfo: systemd-boot 252") &&
                                 ContainsSubstring("LoaderEntrySelected: nixos-generation-1.conf") &&
                                 ContainsSubstring("the firmware has: Linux Boot Manager") &&
                                 ContainsSubstring("ours was not there"));
    // Firmware, loader and its policy were measured; nobody measures into 16.
    for (const char *pcr : {"PCR 0 is extended", "PCR 4 is extended", "PCR 7 is extended", "PCR 16 is zero"})
        CHECK_THAT(first.output, ContainsSubstring(pcr));

    const auto second = run("vars.fd", {}, "systemd-boot");
    INFO(second.output);
    CHECK(second.status == 0);
    CHECK_THAT(second.output,
               !making && ContainsSubstring("the firmware has: Linux Boot Manager") && ContainsSubstring("ours was kept"));

    const auto fresh = run("fresh.fd", {"--efi-keep-variables=false"}, "systemd-boot");
    INFO(fresh.output);
    CHECK(fresh.status == 0);
    CHECK_THAT(fresh.output, !making && ContainsSubstring("LoaderInfo: systemd-boot 252") &&
                                 !ContainsSubstring("the firmware has: Linux Boot Manager") &&
                                 ContainsSubstring("ours was not there"));

    // Another system is another disk.
    const auto grub = run("fresh.fd", {}, "grub-efi");
    INFO(grub.output);
    CHECK(grub.status == 0);
    CHECK_THAT(grub.output, making && ContainsSubstring("GRUB of the fixture, on efi") && !ContainsSubstring("LoaderInfo:") &&
                                ContainsSubstring("ours was kept"));
}

TEST_CASE("with Secure Boot a machine boots what Microsoft's and Debian's keys signed, from an ESP that its system made") {
    const Loader loader(R"sh(set -e
mount -t efivarfs efivarfs /sys/firmware/efi/efivars || true
[ "$(tail -c 1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c | od -An -tu1 | tr -d ' ')" = 1 ]
findmnt -n -o FSTYPE,OPTIONS /boot | grep -E '^vfat +ro'
dmesg | grep -i 'secure boot enabled'
exit 6)sh");
    const std::vector<std::string> words{"--use-boot-loader",   "--use-secure-boot",
                                         "--extra-modules",     "efivarfs",
                                         "--efi-own-variables", loader.place.directory() + "/vars.fd",
                                         "--timeout",           "500"};
    const auto run = loader.runvm("run", words);
    INFO(run.output);
    CHECK(run.status == 6);
    CHECK_THAT(run.output, ContainsSubstring("GRUB of the fixture, on efi") && ContainsSubstring("ecure boot enabled"));
}

TEST_CASE("a boot disk that is too small, not ours, or of a system without a boot loader is refused with what to do") {
    const Loader loader("");
    const auto small = loader.runvm("boot-disk", {"--boot-disk-size", "24"});
    CHECK(small.status == 124);
    CHECK_THAT(
        small.output,
        ContainsSubstring("No space left on device") &&
            ContainsSubstring("24 MiB is too small for the kernel, initrd and boot loader; pass a larger --boot-disk-size"));
    const auto other = loader.runvm("boot-disk", {"--toplevel", fixture_toplevel()});
    CHECK(other.status == 124);
    CHECK_THAT(other.output,
               ContainsSubstring("the system has no bin/switch-to-configuration, so there is no boot loader to install"));
    CHECK_FALSE(fs::exists(loader.boot_disk()));
    for (const auto &left : fs::directory_iterator(loader.place.directory()))
        CHECK_FALSE(left.path().filename().string().starts_with("boot.qcow2"));

    // As in nixpkgs, such a disk has its partition, and the firmware finds nothing there.
    const auto bare =
        loader.runvm("run", {"--use-boot-loader", "--use-efi-boot", "--efi-own-variables", loader.place.directory() + "/vars.fd",
                             "--install-boot-loader=false", "--timeout", "400"});
    INFO(bare.output);
    CHECK(bare.status == 123);
    CHECK_THAT(bare.output, ContainsSubstring("making the boot disk " + loader.boot_disk()) &&
                                ContainsSubstring("the firmware found nothing to boot"));
    for (const char *end : {"", ".efi-vars", ".runvm"}) fs::remove(loader.boot_disk() + end);

    std::ofstream(loader.boot_disk()) << "a user's own";
    const auto own = loader.runvm("boot-disk", {});
    CHECK(own.status == 124);
    CHECK_THAT(own.output, ContainsSubstring("runvm did not make this file; name another one with --boot-disk"));
    CHECK(base::read_file(loader.boot_disk()).value_or("") == "a user's own");
}

}  // namespace

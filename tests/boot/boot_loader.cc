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

std::string loader_system() { return first_line(fixture() + "/loader/toplevel"); }

// A place whose machines boot that system; extra arguments come last.
struct Loader {
    explicit Loader(const std::string &script) : place(script) {}
    [[nodiscard]] base::Exit runvm(const std::string &verb, const std::vector<std::string> &more) const {
        std::vector<std::string> words{verb,         "--accel",       "tcg",         "--store",   fixture() + "/root/nix/store",
                                       "--toplevel", loader_system(), "--boot-disk", boot_disk(), "--memory",
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
               ContainsSubstring("the system has no bin/switch-to-configuration, and so no boot loader to install"));
    CHECK_FALSE(fs::exists(loader.boot_disk()));
    for (const auto &left : fs::directory_iterator(loader.place.directory()))
        CHECK_FALSE(left.path().filename().string().starts_with("boot.qcow2"));

    std::ofstream(loader.boot_disk()) << "a user's own";
    const auto own = loader.runvm("boot-disk", {});
    CHECK(own.status == 124);
    CHECK_THAT(own.output, ContainsSubstring("runvm did not make this file; name another one with --boot-disk"));
    CHECK(base::read_file(loader.boot_disk()).value_or("") == "a user's own");
}

}  // namespace

// How the firmware treats a disk before any kernel runs.

#include <signal.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>
#include <sstream>

#include "mounts/base/at.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a boot disk without a boot loader is told at once, in the firmware's words and ours") {
    const Place place;
    const std::string disk = place.directory() + "/boot.raw";
    std::ofstream(disk).flush();
    fs::resize_file(disk, 8 << 20);
    const auto run =
        place.runvm({"run", "--use-boot-loader", "--boot-disk", disk, "--boot-disk-format", "raw", "--timeout", "60"});
    INFO(run.output);
    CHECK(run.status == 123);
    CHECK_THAT(run.output, ContainsSubstring("SeaBIOS") && ContainsSubstring("No bootable device") &&
                               ContainsSubstring("the firmware found nothing to boot"));
    const auto efi = place.runvm({"run", "--use-boot-loader", "--boot-disk", disk, "--boot-disk-format", "raw", "--use-efi-boot",
                                  "--efi-own-variables", place.directory() + "/vars.fd", "--timeout", "200"});
    INFO(efi.output);
    CHECK(efi.status == 123);
    CHECK_THAT(efi.output, ContainsSubstring("the firmware found nothing to boot") && !ContainsSubstring("the time limit"));
}

TEST_CASE("EFI firmware starts a kernel, and what the guest writes among its variables is there at the next boot") {
    const Place place(R"sh(set -e
mount -t efivarfs efivarfs /sys/firmware/efi/efivars
name=/sys/firmware/efi/efivars/Ours-12345678-1234-1234-1234-123456789abc
if [ -e $name ]; then echo "it was $(tail -c 5 $name)"; exit 7; fi
printf '\007\000\000\000first' >$name)sh");
    const std::string own = "NIX_EFI_VARS=" + place.directory() + "/vars.fd";
    const std::vector<std::string> words{"run", "--use-efi-boot", "--extra-modules", "efivarfs", "--timeout", "400"};
    for (const int status : {0, 7}) {
        std::vector<std::string> argv{"/usr/bin/env", own};
        for (auto &word : place.words(words)) argv.push_back(std::move(word));
        const auto run = base::run({.argv = argv, .capture_output = true});
        REQUIRE(run);
        INFO(run->output);
        CHECK(run->status == status);
        if (status == 7) CHECK_THAT(run->output, ContainsSubstring("it was first"));
    }
}

TEST_CASE("a machine with SeaBIOS, a kernel and a TPM has both its ACPI and the TPM, which keeps what it was provisioned with") {
    const Place place(R"sh(set -e
ls -d /sys/class/tpm/tpm0 /sys/firmware/acpi/tables/TPM2
cd /sys/class/tpm/tpm0/pcr-sha256
# The firmware measures itself, option ROMs and what it starts; nobody measures into 16.
for pcr in 0 2 4; do
    grep -E '^[0-9A-F]{64}$' $pcr
    if grep -x '0*' $pcr; then exit 1; fi
done
grep -x '0*' 16
if dmesg | grep -i 'acpi bios error'; then exit 1; fi
cat /etc/ssl/certs/ca-certificates.crt
exit 9)sh");
    std::ofstream(place.directory() + "/ours.crt") << "a certificate\n";
    // The second time the index already exists, because the state was kept.
    const std::string provisioning =
        "if tpm2_nvread -C o -s 5 0x1500016 2>/dev/null; then echo kept; else "
        "tpm2_nvdefine -C o -s 5 -a 'ownerread|ownerwrite' 0x1500016 && printf hello | tpm2_nvwrite -C o -i - 0x1500016; fi";
    for (const bool kept : {false, true}) {
        std::vector<std::string> argv{"/usr/bin/env", "NIX_SWTPM_DIR=" + place.directory() + "/tpm state",
                                      "NIX_SSL_CERT_FILE=" + place.directory() + "/ours.crt"};
        for (auto &word :
             place.words({"run", "--tpm", "--use-host-certs", "--tpm-provisioning", provisioning, "--timeout", "300"}))
            argv.push_back(std::move(word));
        const auto run = base::run({.argv = argv, .capture_output = true});
        REQUIRE(run);
        INFO(run->output);
        CHECK(run->status == 9);
        CHECK_THAT(run->output, ContainsSubstring("a certificate"));
        CHECK(run->output.contains("hellokept") == kept);
    }
}

TEST_CASE("tables of SMBIOS for which SeaBIOS has no room beside an initrd leave the guest its ACPI") {
    const Place place(R"sh(set -e
ls /sys/firmware/acpi/tables/FACP
exit 9)sh");
    std::ofstream(place.directory() + "/large") << "io.systemd.credential:large=" << std::string(60000, 'x');
    const auto run = place.runvm({"run", "--timeout", "200", "--", "-smbios", "type=11,path=" + place.directory() + "/large"});
    INFO(run.output);
    CHECK(run.status == 9);
}

// A child of the launcher, found by name.
pid_t child_of(pid_t launcher, const std::string &name) {
    std::istringstream children(
        base::read_file(std::format("/proc/{0}/task/{0}/children", launcher), 4096).value_or(std::string{}));
    for (pid_t pid = 0; children >> pid;)
        if (base::read_file(std::format("/proc/{}/comm", pid), 64).value_or("") == name + "\n") return pid;
    return 0;
}

TEST_CASE("a machine whose TPM is killed ends, and says so") {
    const Place place("touch /tmp/shared/up; sleep 1000");
    const pid_t launcher =
        place.launch({"run", "--name", "tpm", "--tpm", "--tpm-state-directory", place.directory() + "/tpm", "--timeout", "300"});
    place.wait_for("up");
    const pid_t swtpm = child_of(launcher, "swtpm");
    REQUIRE(swtpm > 0);
    REQUIRE(::kill(swtpm, SIGKILL) == 0);
    CHECK(wait_for_end(launcher) == 123);
    CHECK_THAT(place.output(), ContainsSubstring("the guest lost its TPM and ends: swtpm has ended"));
}

}  // namespace

// Boots what the NixOS module makes of a configuration: the description and units of a golden file of tests/nixos, which
// NixOS's own modules made, with the fixture's system instead of the one that was never built.

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/boot/machine.h"
#include "tests/boot/own_cache.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using boot_test::Boot;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

json outcome(const std::string &configuration) {
    std::ifstream file("tests/nixos/golden/" + configuration + ".json");
    return json::parse(file);
}

std::string words_of(const json &list) {
    std::string words;
    for (const auto &word : list) words += " " + word.get<std::string>();
    return words;
}

// Writes its units to a directory. Each unit gets an [Install] section, because no Nix makes the links.
std::string units_of(const json &made, const std::string &directory) {
    fs::create_directory(directory);
    for (const auto &[name, unit] : made["units"].items())
        std::ofstream(directory + "/" + name)
            << unit["text"].get<std::string>() << "\n[Install]\nRequiredBy=" << words_of(unit["requiredBy"])
            << "\nWantedBy=" << words_of(unit["wantedBy"]) << '\n';
    return directory;
}

// Adds its stage 2 units; the initrd copies them to systemd's directory. The package is the stage1 in xchg.
void add_stage_2_units(const json &made, const Machine &machine, const std::string &initrd_units) {
    const std::string package = "/nix/store/00000000000000000000000000000000-runvm/bin/stage1";
    fs::copy_file(boot_test::build_directory() / "stage1", machine.xchg() + "/stage1");
    fs::create_directory(machine.xchg() + "/units");
    std::ofstream script(machine.xchg() + "/add-units");
    script << "mkdir -p /run/systemd/system/multi-user.target.wants\ncp /sysroot/tmp/xchg/units/* /run/systemd/system/\n";
    for (const auto &[name, unit] : made["stage2Units"].items()) {
        REQUIRE(unit["wantedBy"] == json{"multi-user.target"});
        std::string text = unit["text"];
        for (size_t at = 0; (at = text.find(package)) != std::string::npos;) text.replace(at, package.size(), "/tmp/xchg/stage1");
        std::ofstream(machine.xchg() + "/units/" + name) << text;
        script << std::format("ln -s ../{0} /run/systemd/system/multi-user.target.wants/\n", name);
    }
    std::ofstream(initrd_units + "/add-units.service") << R"([Unit]
DefaultDependencies=no
After=stage1-mounts.service
Before=initrd-fs.target
OnFailure=emergency.target
[Service]
Type=oneshot
StandardError=journal+console
RemainAfterExit=yes
ExecStart=/bin/sh -e /sysroot/tmp/xchg/add-units
[Install]
RequiredBy=initrd-fs.target
)";
}

// The table that NixOS gives the initrd: what must be mounted before stage 2.
std::string fstab_of(const json &made, const std::string &file) {
    const json &root = made["fileSystems"]["/"];
    std::ofstream(file) << std::format("{} /sysroot {} x-initrd.mount 0 1\n", root["device"].get<std::string>(),
                                       root["fsType"].get<std::string>());
    return file;
}

// The description, with the fixture's system and an initrd like NixOS's.
json described(const json &made, const Machine &machine) {
    (void)boot_test::fixture();
    const std::string initrd = machine.xchg() + ".initrd", units = units_of(made, machine.xchg() + ".units");
    if (made.contains("stage2Units")) add_stage_2_units(made, machine, units);
    const std::string modules =
        "MODULES=virtio_pci virtio_blk ext4 crc32c_generic crc32c-intel 9p 9pnet_virtio overlay virtio_console fuse erofs "
        "virtio_net";
    boot_test::must_run({"/usr/bin/env", "SUITE=sid", "UNITS=" + units, modules, "tests/support/systemd-initrd", initrd,
                         (boot_test::build_directory() / "stage1").string(), fstab_of(made, machine.xchg() + ".fstab")});
    json description = made["description"];
    description["initrd"] = initrd;
    description["qemu"]["program"] = "qemu-system-x86_64";
    description.erase("toplevel");  // set by flags, as in all boots of the fixture
    description.erase("regInfo");
    return description;
}

boot_test::Setup setup_of(const json &description, const Machine &machine, const std::string &script) {
    const std::string config = machine.xchg() + ".json";
    std::ofstream(config) << description;
    return {.system = "systemd",
            .script = script,
            // A busy host needs longer than a device's default of a minute and a half.
            .parameters = {"systemd.default_device_timeout_sec=600"},
            .arguments = {"--config", config},
            .timeout_s = 600};
}

// Flags and variables don't repeat the description's values. The guest writes what it saw to xchg.
Boot boot_as_described(Machine &machine, const boot_test::Setup &setup) {
    std::vector<std::string> words = machine.words(setup);
    std::erase_if(words, [](const std::string &word) { return word.starts_with("NIX_DISK_IMAGE="); });
    const auto flag = std::ranges::find(words, "--union");
    REQUIRE(flag != words.end());
    words.erase(flag, flag + 4);  // also --store-kind
    words.insert(words.begin() + 1, {"-u", "NIX_DISK_IMAGE", "XDG_CACHE_HOME=" + machine.xchg() + ".cache"});
    const auto exit = base::run({.argv = words, .capture_output = true});
    REQUIRE(exit);
    const Boot result{.exit_code = exit->status,
                      .console = exit->output + base::read_file(machine.xchg() + "/seen").value_or("nothing was seen")};
    machine.keep_log(words, result);
    return result;
}

TEST_CASE("what the NixOS module makes of a configuration boots, on a new disk and again") {
    Machine machine;
    const json description = described(outcome("headless"), machine);
    for (const std::string disk : {"formatted ext4 UUID=", "kept ext4 UUID="}) {
        const Boot b = machine.boot(setup_of(description, machine, R"(ls -l /dev/disk/by-id/virtio-root /nix/var/nix/db/db.sqlite
grep -E ' (/|/nix/store) ' /proc/mounts
touch /nix/store/by-the-guest
exit 7)"));
        INFO(b.console);
        CHECK(b.exit_code == 7);
        CHECK_THAT(b.console, ContainsSubstring(disk) && ContainsSubstring("/dev/vda / ext4") &&
                                  ContainsSubstring("fixture: multi-user.target is active") &&
                                  ContainsSubstring("failed units: \r\n") && ContainsSubstring("db.sqlite"));
    }
}

// Prints a line "WORD: output" for each.
constexpr const char *say_seen = R"sh(exec >/tmp/xchg/seen 2>&1
say() { local word=$1; shift; echo "$word: $("$@" 2>&1 | tr '\n' ' ')"; }
)sh";

// Fetches the guest's page through its forwarded port. Makes no assertions, because the machine has its own thread.
std::string fetched_once_up(const std::string &xchg, int port) {
    constexpr int patience_s = 590;
    std::string page;
    if (boot_test::within(patience_s, [&] { return fs::exists(xchg + "/up"); })) {
        const std::string url = std::format("http://127.0.0.1:{}/page", port);
        const auto exit = base::run({.argv = {"timeout", "60", "busybox", "wget", "-q", "-O", "-", url}, .capture_output = true});
        if (exit) page = exit->output;
    }
    std::ofstream(xchg + "/done").flush();
    return page;
}

TEST_CASE("the guest has what the most used options of virtualisation.* say") {
    Machine machine;
    json description = described(outcome("most-used"), machine);
    const int port = boot_test::free_port();
    const std::string source = machine.xchg() + ".src", image = machine.xchg() + ".qcow2";
    fs::create_directory(source);
    std::ofstream(source + "/file") << "of the host";
    description["sharedDirectories"]["src"]["source"] = source;
    description["diskImage"] = image;
    description["forwardPorts"][0]["host"]["port"] = port;
    auto page = std::async(std::launch::async, [&] { return fetched_once_up(machine.xchg(), port); });
    const Boot b = boot_as_described(machine, setup_of(description, machine, std::string(say_seen) + R"sh(
say memory awk '/MemTotal/ { print ($2 > 600 * 1024 && $2 < 768 * 1024) ? "as said" : $2 }' /proc/meminfo
say cores nproc
for disk in /sys/block/vd*; do echo "disk: $(cat $disk/serial)=$(($(cat $disk/size) / 2048))"; done
say root blkid -o value -s TYPE /dev/disk/by-id/virtio-root
say share cat /src/file
say options sed -n 's|^src /src 9p .*\(msize=[0-9]*\).*|\1|p' /proc/mounts
say store sed -n 's|^[^ ]* /nix/store \([^ ]*\) rw.*|\1|p' /proc/mounts
touch /nix/store/by-the-guest && say upper find / -xdev -name by-the-guest
say serial cat /sys/class/dmi/id/product_serial
say screens grep -l 0x0300 /sys/bus/pci/devices/*/class
card=$(ls /sys/class/net | grep -v lo)
ip link set lo up; ip addr add 10.0.2.15/24 dev $card; ip link set $card up; ip route add default via 10.0.2.2
mkdir -p /root/www; echo of the guest >/root/www/page; httpd -p 80 -h /root/www
touch /tmp/xchg/up
until [ -e /tmp/xchg/done ]; do sleep 0.3; done
say fstab grep -o 'fstab=[a-z]*' /proc/cmdline
exit 9)sh"));
    INFO(b.console);
    CHECK(b.exit_code == 9);
    CHECK(fs::exists(image));
    CHECK(page.get() == "of the guest\n");
    for (const char *const line :
         {"memory: as said", "cores: 2", "disk: root=640", "disk: empty0=20", "disk: empty1=40", "root: ext4",
          "share: of the host", "options: msize=65536", "store: overlay", "upper: /nix/", "serial: most-used", "screens: \n"})
        CHECK_THAT(b.console, ContainsSubstring(line));
    // The fixture's system is a computer's: its /boot is not a disk of this machine, whatever else QEMU is given.
    CHECK_THAT(b.console, ContainsSubstring("fstab=no") && ContainsSubstring("failed units: \r\n"));
}

TEST_CASE("the guest has no disk, a window and the store as an image where the options of virtualisation.* say so") {
    const boot_test::OwnCache cache;
    Machine machine;
    const json description = described(outcome("most-used-apart"), machine);
    boot_test::Setup setup = setup_of(description, machine, std::string(say_seen) + R"sh(
say root sed -n 's|^[^ ]* / \([^ ]*\) .*|\1|p' /proc/mounts
say disks ls /sys/block
say store findmnt -no FSTYPE -T /nix/store
touch /nix/store/by-the-guest || echo "the store is not written to"
say screens grep -l 0x0300 /sys/bus/pci/devices/*/class
exit 9)sh");
    setup.arguments.insert(setup.arguments.end(), {"--", "-display", "none"});
    const Boot b = boot_as_described(machine, setup);
    INFO(b.console);
    CHECK(b.exit_code == 9);
    CHECK_THAT(b.console, ContainsSubstring("root: tmpfs") && ContainsSubstring("store: erofs") &&
                              ContainsSubstring("the store is not written to") && ContainsSubstring("screens: /sys/bus/pci"));
}

TEST_CASE("a machine of the NixOS module's says that it is ready, and ends with the status of the service that exitWith names") {
    Machine machine;
    const json description = described(outcome("exit-with"), machine);
    std::ofstream(machine.xchg() + "/check") << R"sh(#!/bin/bash
while state=$(systemctl is-active stage1-ready.service); [ "$state" = inactive ] || [ "$state" = activating ]; do :; done
[ "$state" = active ] || exit 44
exit 43)sh";
    fs::permissions(machine.xchg() + "/check", fs::perms::owner_all);
    const Boot b = machine.boot(setup_of(description, machine, "sleep 1000"));
    INFO(b.console);
    CHECK(b.exit_code == 43);
    CHECK_THAT(b.console, ContainsSubstring(" s: ready") && ContainsSubstring(" s: the guest failed with status 43") &&
                              ContainsSubstring("reboot: Power down"));
}

}  // namespace

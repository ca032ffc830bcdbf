// What the NixOS module makes of a configuration, booted: the description and the units of a golden file of tests/nixos, which
// are what NixOS's own modules made, with the fixture's system in place of the one that was never built.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/boot/machine.h"

namespace {

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

// Its units in a directory; who wants each stands in the unit, because no Nix makes the links.
std::string units_of(const json &made, const std::string &directory) {
    std::filesystem::create_directory(directory);
    for (const auto &[name, unit] : made["units"].items())
        std::ofstream(directory + "/" + name)
            << unit["text"].get<std::string>() << "\n[Install]\nRequiredBy=" << words_of(unit["requiredBy"])
            << "\nWantedBy=" << words_of(unit["wantedBy"]) << '\n';
    return directory;
}

// The table that NixOS gives the initrd: what must be mounted before stage 2.
std::string fstab_of(const json &made, const std::string &file) {
    const json &root = made["fileSystems"]["/"];
    std::ofstream(file) << std::format("{} /sysroot {} x-initrd.mount 0 1\n", root["device"].get<std::string>(),
                                       root["fsType"].get<std::string>());
    return file;
}

TEST_CASE("what the NixOS module makes of a configuration boots, on a new disk and again") {
    Machine machine;
    (void)boot_test::fixture();
    const json made = outcome("headless");
    const std::string initrd = machine.xchg() + ".initrd", config = machine.xchg() + ".json";
    boot_test::must_run({"/usr/bin/env", "SUITE=sid", "UNITS=" + units_of(made, machine.xchg() + ".units"),
                         "tests/support/systemd-initrd", initrd, (boot_test::build_directory() / "stage1").string(),
                         fstab_of(made, machine.xchg() + ".fstab")});
    json description = made["description"];
    description["initrd"] = initrd;
    description["qemu"]["program"] = "qemu-system-x86_64";
    description.erase("toplevel");  // the flags name them, as all boots of the fixture have them
    description.erase("regInfo");
    std::ofstream(config) << description;
    for (const std::string disk : {"formatted ext4 UUID=", "kept ext4 UUID="}) {
        const Boot b = machine.boot({.system = "systemd",
                                     // A busy host needs longer than the minute and a half that a device has.
                                     .script = R"(ls -l /dev/disk/by-id/virtio-root /nix/var/nix/db/db.sqlite
grep -E ' (/|/nix/store) ' /proc/mounts
touch /nix/store/by-the-guest
exit 7)",
                                     .parameters = {"systemd.default_device_timeout_sec=600"},
                                     .arguments = {"--config", config},
                                     .timeout_s = 600});
        INFO(b.console);
        CHECK(b.exit_code == 7);
        CHECK_THAT(b.console, ContainsSubstring(disk) && ContainsSubstring("/dev/vda / ext4") &&
                                  ContainsSubstring("fixture: multi-user.target is active") &&
                                  ContainsSubstring("failed units: \r\n") && ContainsSubstring("db.sqlite"));
    }
}

}  // namespace

#include "hostside/qemu/firmware.h"

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>
#include <string>

#include "tests/support/disk.h"

namespace {

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;

// Two directories of descriptions, and the files that these name.
class Host {
  public:
    Host() {
        for (const char *name : {"user", "vendor"}) fs::create_directory(at(name));
        for (const char *name : {"code", "vars", "code.ms", "vars.ms"}) std::ofstream(at(name)) << "flash";
    }
    [[nodiscard]] std::string at(const std::string &name) const { return scratch_.path(name); }
    void write(const std::string &name, const std::string &text) const { std::ofstream(at(name)) << text; }
    [[nodiscard]] std::string description(const std::string &code, const std::string &variables, const std::string &machine,
                                          const std::string &features) const {
        return std::format(
            R"({{"interface-types":["uefi"],"mapping":{{"device":"flash","executable":{{"filename":"{}","format":"raw"}},
"nvram-template":{{"filename":"{}","format":"raw"}}}},"targets":[{{"architecture":"x86_64","machines":["{}"]}}],"features":[{}]}})",
            at(code), at(variables), machine, features);
    }
    [[nodiscard]] std::string found(const std::string &machine, bool secure) const {
        const auto firmware = hostside::find_firmware({at("user"), at("vendor")}, machine, secure);
        return firmware ? firmware->code + " " + firmware->variables : base::message(firmware.error());
    }

  private:
    support::ScratchDirectory scratch_;
};

constexpr const char *secure = R"("acpi-s3","enrolled-keys","requires-smm","secure-boot")";

TEST_CASE("EFI firmware is found by QEMU's descriptions: for the machine, with or without keys, the first by name") {
    const Host host;
    host.write("vendor/40-secure.json", host.description("code.ms", "vars.ms", "pc-q35-*", secure));
    host.write("vendor/60-plain.json", host.description("code", "vars", "pc-*", R"("acpi-s3")"));
    CHECK(host.found("q35", true) == host.at("code.ms") + " " + host.at("vars.ms"));
    CHECK(host.found("q35", false) == host.at("code") + " " + host.at("vars"));
    CHECK(host.found("pc", false) == host.at("code") + " " + host.at("vars"));
    CHECK_THAT(host.found("pc", true),
               ContainsSubstring("no firmware with Secure Boot and enrolled keys for pc is described in") &&
                   ContainsSubstring("install OVMF") && ContainsSubstring(host.at("vendor")));
    // A file with an earlier name, and a user's file that replaces the vendor's; an empty one removes it.
    host.write("user/50-own.json", host.description("code.ms", "vars", "pc-*", ""));
    CHECK(host.found("pc", false) == host.at("code.ms") + " " + host.at("vars"));
    host.write("user/50-own.json", "");
    host.write("user/60-plain.json", "");
    CHECK_THAT(host.found("pc", false), ContainsSubstring("find EFI firmware: no firmware for pc is described in"));
}

TEST_CASE("a description of firmware that is odd, hostile or of files that are gone is passed over") {
    const Host host;
    host.write("user/01.json", std::string(200'000, '['));
    host.write("user/02.json", std::string(20'000, '['));
    host.write("user/03.json", R"({"interface-types":7,"mapping":[],"targets":{"x":1}})");
    host.write("user/04.json", R"(["uefi"])");
    host.write("user/05.json", host.description("gone", "vars", "pc-*", ""));
    host.write("user/06.json",
               "{\"interface-types\":[\"uefi\"],\"targets\":[{\"architecture\":\"x86_64\",\"machines\":[1,null]}]}");
    fs::create_symlink(host.at("user"), host.at("user/07.json"));
    host.write("vendor/90.json", host.description("code", "vars", "pc-*", ""));
    CHECK(host.found("pc", false) == host.at("code") + " " + host.at("vars"));
}

TEST_CASE("the descriptions of this host's own OVMF are understood") {
    const auto directories = hostside::firmware_directories("/usr/bin/qemu-system-x86_64");
    if (!fs::exists("/usr/share/qemu/firmware/60-edk2-x86_64.json")) SKIP("no ovmf of Debian's here");
    const auto plain = hostside::find_firmware(directories, "pc", false);
    const auto keys = hostside::find_firmware(directories, "q35", true);
    REQUIRE(plain);
    REQUIRE(keys);
    CHECK(plain->code == "/usr/share/OVMF/OVMF_CODE_4M.fd");
    CHECK(keys->variables == "/usr/share/OVMF/OVMF_VARS_4M.ms.fd");
}

}  // namespace

// A machine in other programs' formats: golden texts (tests/unit/exported; GOLDEN=write rewrites them), libvirt's own schema,
// and what can't be expressed. tests/export boots a domain with libvirt.
#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>
#include <format>

#include "hostside/description/description.h"
#include "hostside/export/kubevirt_machine.h"
#include "hostside/export/libvirt_domain.h"
#include "hostside/export/nomad_job.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"

namespace {

const std::string golden = "tests/unit/exported/";

hostside::Exported exported(const std::string &description) {
    auto machine = hostside::machine_from({{"test", description, false}});
    if (!machine) FAIL(base::message(machine.error()));
    return {.machine = std::move(*machine),
            .kernel = "/nix/store/k/bzImage",
            .initrd = "/srv/<i> & 'o'",
            .command_line = "init=/x a=\"b c\" <&>",
            .qemu = ""};
}

void check(const std::string &file, const std::string &text) {
    if (const char *mode = std::getenv("GOLDEN"); mode != nullptr && std::string_view(mode) == "write")
        REQUIRE(base::replace_file(golden + file, text));
    CHECK(text == base::read_file(golden + file).value_or("no file " + file));
}

constexpr const char *of_libvirt = R"({"name": "web & 'db'", "memorySize": 512, "cores": 3, "store": "/nix/store",
    "diskImage": "/srv/root <1>.qcow2", "ephemeral": true, "accelerator": "tcg", "cpu": "Nehalem", "vlans": [1, 7], "nodeNumber": 9,
    "balloon": true, "vsock": 42, "allowReboot": true, "sharedDir": "/srv/shared", "qemu": {"machine": "q35"},
    "drives": [{"file": "/srv/data", "format": "raw", "serial": "data", "readOnly": true}],
    "sharedDirectories": [{"tag": "a", "source": "/srv/a", "target": "/a", "readOnly": true},
                          {"tag": "b", "source": "/srv/b", "target": "/b", "securityModel": "passthrough"}]})";
constexpr const char *of_kubevirt =
    R"({"name": "web", "memorySize": 512, "cores": 3, "diskImage": "/srv/root.qcow2", "diskSize": 2048,
    "ephemeral": true, "vlans": [7], "nodeNumber": 9, "emptyDiskImages": [100], "cpu": "host", "rng": false, "balloon": true,
    "drives": [{"file": "/srv/data", "format": "raw", "serial": "data", "readOnly": true}],
    "forwardPorts": [{"host": {"port": 2222}, "guest": {"port": 22}},
                     {"proto": "udp", "host": {"port": 53}, "guest": {"port": 53}}]})";

std::string refusal(const base::Result<std::string> &result) { return result ? "" : base::message(result.error()); }

std::string unsayable(const std::string &key, const std::string &form) {
    return std::format(
        "export '{}': {} can't express this; leave it out, or export for systemd or nomad, where runvm runs the machine", key,
        form);
}

}  // namespace

TEST_CASE("a machine is a domain of libvirt's, by libvirt's own schema") {
    const char *description = GENERATE(of_libvirt, R"({"name": "plain", "diskImage": "", "rng": false, "store": ""})");
    const auto text = hostside::libvirt_domain(exported(description));
    INFO(refusal(text));
    REQUIRE(text);
    const std::string file = description == of_libvirt ? "full.xml" : "plain.xml";
    check(file, *text);
    const auto valid = base::run({.argv = {"virt-xml-validate", golden + file, "domain"}, .capture_output = true});
    if (!valid) SKIP("no virt-xml-validate here (Debian's libvirt-clients)");
    INFO(valid->output);
    CHECK(valid->status == 0);
}

TEST_CASE("a raw root disk is a raw disk of libvirt's") {
    const auto text = hostside::libvirt_domain(exported(R"({"diskImage": "/srv/root.raw", "diskImageFormat": "raw"})"));
    INFO(refusal(text));
    REQUIRE(text);
    CHECK(text->contains("<driver name='qemu' type='raw'/>\n      <source file='/srv/root.raw'/>"));
}

TEST_CASE("a machine is a VirtualMachine of KubeVirt's, and a job of Nomad's") {
    const auto text = hostside::kubevirt_machine(exported(of_kubevirt), "registry/web:1");
    INFO(refusal(text));
    REQUIRE(text);
    check("kubevirt.json", *text);
    const auto machine = exported(R"({"name": "web", "memorySize": 512, "cores": 3})").machine;
    check("nomad.json",
          hostside::nomad_job({.machine = machine, .words = {"/bin/runvm", "run", "--name=\"w\\"}, .directory = "/srv/a b"}));
}

TEST_CASE("what libvirt or KubeVirt can't be told is refused by its key") {
    for (const auto &[key, description] : {std::pair{"useEFIBoot", R"({"useEFIBoot": true})"},
                                           {"tpm", R"({"tpm": {"enable": true}})"},
                                           {"timeout", R"({"timeout": 60})"},
                                           {"qemu.options", R"({"qemu": {"options": ["-device", "x"]}})"},
                                           {"qemu.diskInterface", R"({"qemu": {"diskInterface": "scsi"}})"},
                                           {"restrictNetwork", R"({"restrictNetwork": true})"}}) {
        CHECK(refusal(hostside::libvirt_domain(exported(description))) == unsayable(key, "libvirt"));
        auto kubevirt = exported(description);
        kubevirt.machine.disk_image.clear();
        CHECK(refusal(hostside::kubevirt_machine(kubevirt, "i")) == unsayable(key, "KubeVirt"));
    }
    CHECK(refusal(hostside::libvirt_domain(exported(R"({"emptyDiskImages": [1]})"))) == unsayable("emptyDiskImages", "libvirt"));
    CHECK(refusal(hostside::libvirt_domain(exported(
              R"({"sharedDirectories": [{"tag": "a", "source": "/s", "target": "/a", "securityModel": "mapped-file"}]})"))) ==
          "export 'sharedDirectories': libvirt has no security model mapped-file");
    for (const auto &[key, description] :
         {std::pair{"sharedDir", R"({"diskImage": "", "sharedDir": "/srv"})"},
          {"drives", R"({"diskImage": "", "drives": [{"file": "/srv/d.qcow2"}]})"},
          {"forwardPorts",
           R"({"diskImage": "", "forwardPorts": [{"from": "guest", "host": {"port": 1}, "guest": {"port": 1}}]})"}})
        CHECK(refusal(hostside::kubevirt_machine(exported(description), "i")) == unsayable(key, "KubeVirt"));
    CHECK(refusal(hostside::kubevirt_machine(exported("{}"), "i")) ==
          "export 'diskImage': KubeVirt's root disk is empty at each start; pass --ephemeral, or --disk-image '' for a root on "
          "tmpfs");
    CHECK(refusal(hostside::kubevirt_machine(exported(R"({"name": "Web_1", "diskImage": ""})"), "i"))
              .starts_with("export 'name': "));
}

#include "hostside/description/description.h"

#include <catch_amalgamated.hpp>

#include "hostside/description/environment.h"

namespace {

using hostside::Layer;

std::string refusal(const std::string &json) {
    const auto machine = hostside::machine_from({{"vm.json", json, false}});
    return machine ? "accepted" : base::message(machine.error());
}

struct Wrong {
    const char *json;
    const char *message;
};

}  // namespace

TEST_CASE("a wrong description is refused with the path of what is wrong") {
    const auto wrong = GENERATE(values<Wrong>({
        {R"({"memorySize":"2"})", "vm.json '/memorySize': must be a whole number, not \"2\""},
        {R"({"memorySize":1})", "vm.json '/memorySize': must be from 64 to 16777216, not 1"},
        {R"({"memorysize":64})", "vm.json '/memorysize': no such option; did you mean memorySize?"},
        {R"({"zzz":64})", "vm.json '/zzz': no such option; `runvm schema` lists all options"},
        {R"({"graphics":1})", "vm.json '/graphics': must be true or false, not 1"},
        {R"({"qemu":{"machine":"microvm"}})", "vm.json '/qemu/machine': must be one of pc, q35, not \"microvm\""},
        {R"({"kernelParams":["a",1]})", "vm.json '/kernelParams/1': must be a string, not 1"},
        {R"({"sharedDirectories":[{"tag":"a","target":"/t"}]})",
         "vm.json '/sharedDirectories/0/source': missing; must be a string: the directory on the host"},
        {R"({"forwardPorts":[{"host":{"port":0},"guest":{"port":1}}]})",
         "vm.json '/forwardPorts/0/host/port': must be from 1 to 65535, not 0"},
        {R"({"memorySice":64})", "vm.json '/memorySice': no such option; did you mean memorySize?"},
        {R"({"memorySize":18446744073709551615})",
         "vm.json '/memorySize': must be from 64 to 16777216, not 18446744073709551615"},
        {R"({"sharedDirectories":{"a/b~":{"source":1,"target":"/t"}}})",
         "vm.json '/sharedDirectories/a~1b~0/source': must be a string, not 1"},
        {R"({"sharedDirectories":{"a":7}})", "vm.json '/sharedDirectories/a': must be an object, not 7"},
        {R"({"sharedDirectories":7})", "vm.json '/sharedDirectories': must be a list of objects, not 7"},
        {R"({"qemu":{"options":["-a 'b"]}})", "vm.json '/qemu/options/0': a quote ' is opened and never closed"},
        {R"({"resolution":{"x":640}})", "vm.json '/resolution/y': missing; must be a whole number: height in pixels"},
        {R"({"tpm":{"deviceModel":"tpm-spapr"}})",
         "vm.json '/tpm/deviceModel': must be one of tpm-tis, tpm-crb, not \"tpm-spapr\""},
        {R"({"kernel":"a\u0000b"})", "vm.json '/kernel': must be a string without NUL, not \"a\\u0000b\""},
        {R"([])", "vm.json: must be an object, not []"},
        {"{\n\"a\":1,\n]", "vm.json: line 3, column 1: this is not valid JSON"},
    }));
    CHECK(refusal(wrong.json) == wrong.message);
}

TEST_CASE("flags win over the environment, that over the file, and lists add up") {
    const std::vector<Layer> layers{{"vm.json", R"({"memorySize":512,"cores":2,"kernelParams":["a"]})", false},
                                    *hostside::setting("memorySize", "1000", "environment X"),
                                    *hostside::setting("kernelParams", "b", "--kernel-params"),
                                    *hostside::setting("memorySize", "2000", "--memory")};
    const auto machine = hostside::machine_from(layers);
    REQUIRE(machine);
    CHECK(machine->memory_mib == 2000);
    CHECK(machine->cores == 2);
    CHECK(machine->kernel_params == std::vector<std::string>{"a", "b"});
    const auto text = hostside::describe(layers);
    REQUIRE(text);
    using Catch::Matchers::ContainsSubstring;
    CHECK_THAT(*text, ContainsSubstring("memorySize = 2000  # --memory\n"));
    CHECK_THAT(*text, ContainsSubstring("cores = 2  # vm.json\n"));
    CHECK_THAT(*text, ContainsSubstring("kernelParams = [\"a\",\"b\"]  # vm.json + --kernel-params\n"));
    CHECK_THAT(*text, ContainsSubstring("qemu.machine = \"pc\"  # default\n"));
}

TEST_CASE("the root disk is named after the machine, and null or empty is a root on tmpfs") {
    CHECK(hostside::machine_from({{"f", R"({"name":"web"})", false}})->disk_image == "./web.qcow2");
    CHECK(hostside::machine_from({{"f", R"({"diskImage":null})", false}})->disk_image.empty());
}

TEST_CASE("the 2013 script's environment is honoured") {
    const auto get = [](const char *name) -> const char * {
        const std::string_view n(name);
        if (n == "NIX_DISK_IMAGE") return "";
        if (n == "SHARED_DIR") return "/a, b";
        if (n == "QEMU_OPTS") return "-m '2 G'";
        if (n == "QEMU_NET_OPTS") return "hostfwd=tcp::1-:2";
        if (n == "QEMU_KERNEL_PARAMS") return "x=\"a b\" y";
        if (n == "NIXPKGS_QEMU_KERNEL_my_vm") return "/kernel";
        return nullptr;
    };
    const auto layers = hostside::environment_layers(get, "my-vm");
    REQUIRE(layers);
    const auto machine = hostside::machine_from(*layers);
    REQUIRE(machine);
    CHECK(machine->disk_image.empty());
    CHECK(machine->shared_dir == "/a, b");
    CHECK(machine->qemu_options == std::vector<std::string>{"-m", "2 G"});
    CHECK(machine->user_network_options == "hostfwd=tcp::1-:2");
    CHECK(machine->kernel_params == std::vector<std::string>{"x=\"a b\" y"});
    CHECK(machine->kernel == "/kernel");
}

TEST_CASE("NixOS's attribute sets are lists, in the order of their names") {
    const auto machine = hostside::machine_from(
        {{"f",
          R"({"sharedDirectories":{"b":{"source":"/b","target":"/tb"},"a":{"source":"/a","target":"/ta","securityModel":"none"}},
              "interfaces":{"lan":{"vlan":3,"assignIP":true}}})",
          false}});
    REQUIRE(machine);
    REQUIRE(machine->shared_directories.size() == 2);
    CHECK(machine->shared_directories[0].tag == "b");
    CHECK(machine->shared_directories[1].security_model == "none");
    REQUIRE(machine->interfaces.size() == 1);
    CHECK(machine->interfaces[0].name == "lan");
    CHECK(machine->interfaces[0].vlan == 3);
}

TEST_CASE("what NixOS calls additionalPaths now is pathsInNixDB, once") {
    const auto machine = hostside::machine_from({{"f", R"({"additionalPaths":["/nix/store/a"]})", false}});
    REQUIRE(machine);
    CHECK(machine->paths_in_nix_db == std::vector<std::string>{"/nix/store/a"});
    CHECK(refusal(R"({"pathsInNixDB":[],"additionalPaths":[]})") ==
          "vm.json '/additionalPaths': given twice; pathsInNixDB is the same option");
}

TEST_CASE("what NixOS says in other words is what we say in ours") {
    const std::vector<std::pair<const char *, const char *>> words{
        {R"({"directBoot":{"enable":true,"initrd":"/i"}})", R"({"initrd":"/i"})"},
        {R"({"qemu":{"package":"/nix/store/q","enableSharedMemory":false}})",
         R"({"qemu":{"program":"/nix/store/q/bin/qemu-system-x86_64"}})"},
        {R"({"qemu":{"forceAccel":true}})", R"({"accelerator":"kvm"})"},
        {R"({"qemu":{"forceAccel":false}})", "{}"},
        {R"({"diskSize":"auto"})", "{}"},
        {R"({"diskSize":null})", "{}"},
        {R"({"emptyDiskImages":[20,{"size":40,"driveConfig":{"deviceExtraOpts":{},"driveExtraOpts":{},"name":null}}]})",
         R"({"emptyDiskImages":[20,40]})"},
        {R"({"drives":[{"file":"/a"}],"qemu":{"drives":[
             {"name":"root","file":"\"$NIX_DISK_IMAGE\"","driveExtraOpts":{"cache":"writeback","werror":"report"},
              "deviceExtraOpts":{"bootindex":"1","serial":"root"}},
             {"name":null,"file":"$(pwd)/empty0.qcow2","driveExtraOpts":{"werror":"report"},"deviceExtraOpts":{}},
             {"name":"data","file":"./x, y","driveExtraOpts":{"cache":"writeback","werror":"report","format":"raw","readonly":"on"},
              "deviceExtraOpts":{"serial":"data"}}]}})",
         R"({"drives":[{"file":"/a"},{"file":"./x, y","format":"raw","readOnly":true,"serial":"data"}]})"},
        {R"({"credentials":{"token":{"source":"./a, b","text":null,"mechanism":"smbios"}}})",
         R"({"credentials":[{"name":"token","source":"./a, b"}]})"},
        {R"({"mountHostNixStore":true,"useSecureBoot":false,"useHostCerts":false,"nixStore9pCache":"loose","useBIOSBoot":false,
             "useDefaultFilesystems":true,"bootLoaderDevice":"/dev/vda","bootPartition":null,
             "fileSystems":{"/":{"fsType":"ext4"}},"efi":{"OVMF":"/nix/store/ovmf"},"diskSizeAutoSupported":false,
             "tpm":{"enable":false,"deviceModel":"tpm-tis","provisioning":null},"allInterfaces":{},"host":{}})",
         R"({"efi":{},"tpm":{"enable":false,"deviceModel":"tpm-tis"},"useSecureBoot":false,"useHostCerts":false})"},
        {R"({"useBootLoader":true,"directBoot":{"enable":false},"mountHostNixStore":false,"tpm":{"package":"/nix/store/s"}})",
         R"({"useBootLoader":true,"tpm":{"program":"/nix/store/s/bin/swtpm"}})"}};
    for (const auto &[theirs, ours] : words) {
        INFO(theirs);
        const auto said = hostside::describe_json({{"vm.json", theirs, false}});
        if (!said) FAIL(base::message(said.error()));
        CHECK(*said == hostside::describe_json({{"vm.json", ours, false}}).value());
    }
}

TEST_CASE("a value of NixOS's that is not obeyed is refused with the reason") {
    const auto wrong = GENERATE(values<Wrong>({
        {R"({"directBoot":{"enable":false}})",
         "vm.json '/directBoot/enable': runvm boots the kernel directly; for a boot loader, set useBootLoader and bootDisk"},
        {R"({"mountHostNixStore":false})", "vm.json '/mountHostNixStore': the guest always uses the host's store"},
        {R"({"nixStore9pCache":"none"})",
         "vm.json '/nixStore9pCache': the store is always cached loosely, because it never changes"},
        {R"({"directBoot":{"initrd":"/i"},"initrd":"/j"})",
         "vm.json '/directBoot/initrd': given twice; initrd is the same option"},
        {R"({"directBoot":{"initrd":1}})", "vm.json '/directBoot/initrd': must be a string"},
        {R"({"directBoot":{"other":1}})", "vm.json '/directBoot': no such option; `runvm schema` lists all options"},
        {R"({"qemu":{"forceAccel":"yes"}})", "vm.json '/qemu/forceAccel': must be true or false"},
        {R"({"qemu":{"enableSharedMemory":true}})",
         "vm.json '/qemu/enableSharedMemory': runvm has no option for shared memory; pass QEMU's arguments in qemu.options"},
        {R"({"emptyDiskImages":[{"size":40,"driveConfig":{"deviceExtraOpts":{"serial":"x"}}}]})",
         "vm.json '/emptyDiskImages/0/driveConfig': only the defaults are supported; describe other disks in drives"},
        {R"({"qemu":{"drives":[{"name":"x"}]}})", "vm.json '/qemu/drives/0/file': missing; must be a string: the image"},
        {R"({"qemu":{"drives":[{"file":"$HOME/x"}]}})",
         "vm.json '/qemu/drives/0/file': shell expansions ($ or `) are not supported"},
        {R"({"qemu":{"drives":[{"file":"x","driveExtraOpts":{"cache":"unsafe"}}]}})",
         "vm.json '/qemu/drives/0/driveExtraOpts/cache': only format, readonly and serial are supported; pass other options to "
         "QEMU in qemu.options"},
        {R"({"qemu":{"drives":[{"file":"x","deviceExtraOpts":{"serial":7}}]}})",
         "vm.json '/qemu/drives/0/deviceExtraOpts/serial': must be a string"},
        {R"({"emptyDiskImages":[{"driveConfig":{}}]})",
         "vm.json '/emptyDiskImages/0/size': missing; must be a whole number: the size in MiB"},
        {R"({"emptyDiskImages":[{"size":"big"}]})", "vm.json '/emptyDiskImages/0': must be a whole number, not \"big\""},
        {R"({"credentials":{"a":{"text":"x"}}})",
         "vm.json '/credentials/a/source': missing; must be a string: a file of the host"},
        {R"({"diskSize":"huge"})", "vm.json '/diskSize': must be a whole number, not \"huge\""},
    }));
    CHECK(refusal(wrong.json) == wrong.message);
}

TEST_CASE("a flag may say an object in short, and a list in JSON takes the place of the file's") {
    struct Short {
        const char *key, *text, *json;
    };
    const auto one = GENERATE(values<Short>({
        {"forwardPorts", "2222:22", R"({"forwardPorts":[{"host":{"port":2222},"guest":{"port":22}}]})"},
        {"forwardPorts", "[::1]:8080:80", R"({"forwardPorts":[{"host":{"port":8080,"address":"::1"},"guest":{"port":80}}]})"},
        {"forwardPorts", "tcp:[fe80::1]:8080:80",
         R"({"forwardPorts":[{"proto":"tcp","host":{"port":8080,"address":"fe80::1"},"guest":{"port":80}}]})"},
        {"forwardPorts", "udp:127.0.0.1:53:5353",
         R"({"forwardPorts":[{"proto":"udp","host":{"port":53,"address":"127.0.0.1"},"guest":{"port":5353}}]})"},
        {"sharedDirectories", "src=/a b:c:/t", R"({"sharedDirectories":[{"tag":"src","source":"/a b:c","target":"/t"}]})"},
        {"sharedDirectories", "src=./x:/t:ro",
         R"({"sharedDirectories":[{"tag":"src","readOnly":true,"source":"./x","target":"/t"}]})"},
        {"drives", "/a,b", R"({"drives":[{"file":"/a,b"}]})"},
        {"interfaces", "lan=3", R"({"interfaces":[{"name":"lan","vlan":3}]})"},
        {"resolution", "1280x800", R"({"resolution":{"x":1280,"y":800}})"},
        {"graphics", "off", R"({"graphics":false})"},
        {"emptyDiskImages", "64", R"({"emptyDiskImages":[64]})"},
    }));
    const auto layer = hostside::setting(one.key, one.text, "flag");
    REQUIRE(layer);
    CHECK(layer->json == one.json);
    const auto whole = hostside::setting("emptyDiskImages", "[1,2]", "flag");
    REQUIRE(whole);
    const auto machine = hostside::machine_from({{"f", R"({"emptyDiskImages":[64]})", false}, *whole});
    REQUIRE(machine);
    CHECK(machine->empty_disks_mib == std::vector<int>{1, 2});
}

TEST_CASE("a flag that is not of its option's type says what would be") {
    struct Bad {
        const char *key;
        std::string text;
        const char *message;
    };
    const auto bad = GENERATE(values<Bad>({
        {"memorySize", "much", "--flag: must be a whole number of MiB, or have a unit, as in 512M or 2G, not much"},
        {"forwardPorts", "22", "--flag: must be [udp:][ADDRESS:]HOSTPORT:GUESTPORT or JSON, not 22"},
        {"forwardPorts", "[::1]:80", "--flag: must be [udp:][ADDRESS:]HOSTPORT:GUESTPORT or JSON, not [::1]:80"},
        {"forwardPorts", "a:b", "--flag: must be [udp:][ADDRESS:]HOSTPORT:GUESTPORT or JSON, not a:b"},
        {"sharedDirectories", "/a:/b", "--flag: must be TAG=SOURCE:TARGET[:ro] or JSON, not /a:/b"},
        {"interfaces", "lan", "--flag: must be NAME=VLAN or JSON, not lan"},
        {"resolution", "big", "--flag: must be WIDTHxHEIGHT or JSON, not big"},
        {"kernel", "/\xff", "--flag: must be UTF-8"},
    }));
    CHECK(base::message(hostside::setting(bad.key, bad.text, "--flag").error()) == bad.message);
}

TEST_CASE("QEMU_OPTS is split as a shell would without running anything, and a bad quote is an error") {
    const auto with = [](const char *options) {
        const auto layers = hostside::environment_layers(
            [&](const char *name) { return std::string_view(name) == "QEMU_OPTS" ? options : nullptr; }, "vm");
        REQUIRE(layers);
        return hostside::machine_from(*layers);
    };
    CHECK(with(R"(-a "b c" $(touch /x) '$HOME' \;)")->qemu_options ==
          std::vector<std::string>{"-a", "b c", "$(touch", "/x)", "$HOME", ";"});
    CHECK(base::message(with("-a 'b").error()) ==
          "environment QEMU_OPTS '/qemu/options/0': a quote ' is opened and never closed");
}

TEST_CASE("the description of a machine that says nothing is one again, without what has no value") {
    const auto json = hostside::describe_json({});
    REQUIRE(json);
    CHECK_FALSE(json->contains("resolution"));
    const auto again = hostside::describe_json({{"said.json", *json, false}});
    INFO((again ? "" : base::message(again.error())));
    REQUIRE(again);
    CHECK(*again == *json);
}

TEST_CASE("the merged description in JSON is a description, and the same machine") {
    const std::vector<Layer> layers{
        {"vm.json",
         R"({"memorySize":512,"sharedDirectories":{"a":{"source":"/a","target":"/b"}},"resolution":{"x":640,"y":480}})", false}};
    const auto json = hostside::describe_json(layers);
    REQUIRE(json);
    const std::vector<Layer> again{{"again.json", *json, false}};
    CHECK(hostside::describe_json(again) == *json);
}

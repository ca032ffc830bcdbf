#include "hostside/description.h"

#include <catch_amalgamated.hpp>

#include "hostside/environment.h"

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
        {R"({"zzz":64})", "vm.json '/zzz': no such option; `runvm schema` lists them"},
        {R"({"graphics":1})", "vm.json '/graphics': must be true or false, not 1"},
        {R"({"qemu":{"machine":"microvm"}})", "vm.json '/qemu/machine': must be one of pc, q35, not \"microvm\""},
        {R"({"kernelParams":["a",1]})", "vm.json '/kernelParams/1': must be a string, not 1"},
        {R"({"sharedDirectories":[{"tag":"a","target":"/t"}]})",
         "vm.json '/sharedDirectories/0/source': missing; it is a string: folder of the host"},
        {R"({"forwardPorts":[{"host":{"port":0},"guest":{"port":1}}]})",
         "vm.json '/forwardPorts/0/host/port': must be from 1 to 65535, not 0"},
        {R"([])", "vm.json: must be an object, not []"},
        {"{\n\"a\":1,\n]", "vm.json: line 3: not JSON here"},
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
    CHECK(machine->net_options == "hostfwd=tcp::1-:2");
    CHECK(machine->kernel_params == std::vector<std::string>{"x=\"a b\" y"});
    CHECK(machine->kernel == "/kernel");
}

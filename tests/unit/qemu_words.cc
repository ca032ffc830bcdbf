#include "hostside/description/qemu_words.h"

#include <catch_amalgamated.hpp>
#include <string>
#include <vector>

namespace {

using Words = std::vector<std::string>;

hostside::Machine with(const Words &words) {
    hostside::Machine machine;
    machine.qemu_options = words;
    return machine;
}

const char *environment(const char *name) {
    return std::string_view(name) == "QEMU_VDE_SOCKET_1"    ? "/tmp/a,b/vde1.ctl"
           : std::string_view(name) == "QEMU_VDE_SOCKET_12" ? "/tmp/vde12.ctl"
                                                            : nullptr;
}

}  // namespace

TEST_CASE("of what NixOS's test driver adds, only what we have not ourselves is left to QEMU") {
    // The arguments that Machine.start passes to the script (nixos/lib/test-driver of 2024), after its shell splits them.
    auto machine =
        with({"-qmp", "unix:/tmp/vm-state-a/qmp,server=on,wait=off", "-monitor", "unix:/tmp/vm-state-a/monitor", "-chardev",
              "socket,id=shell,path=/tmp/vm-state-a/shell", "-device", "virtio-serial", "-device", "virtconsole,chardev=shell",
              "-device", "virtio-rng-pci", "-serial", "stdio", "-no-reboot", "-nographic"});
    machine.graphics = true;
    machine.allow_reboot = true;
    hostside::take_qemu_words(machine);
    CHECK(machine.qemu_options == Words{"-qmp", "unix:/tmp/vm-state-a/qmp,server=on,wait=off", "-monitor",
                                        "unix:/tmp/vm-state-a/monitor", "-chardev", "socket,id=shell,path=/tmp/vm-state-a/shell",
                                        "-device", "virtio-serial", "-device", "virtconsole,chardev=shell", "-device",
                                        "virtio-rng-pci"});
    CHECK_FALSE(machine.graphics);
    CHECK_FALSE(machine.allow_reboot);
}

TEST_CASE("a serial port of the user's own stays one") {
    auto machine = with({"-serial", "file:/tmp/second", "-serial", "mon:stdio", "-serial"});
    machine.graphics = true;
    hostside::take_qemu_words(machine);
    CHECK(machine.qemu_options == Words{"-serial", "file:/tmp/second", "-serial"});
    CHECK(machine.graphics);
}

TEST_CASE("the sockets of NixOS's switches are expanded, and no other variable") {
    auto machine = with({"vde,id=vlan1,sock=$QEMU_VDE_SOCKET_1", "a$QEMU_VDE_SOCKET_12$QEMU_VDE_SOCKET_1.", "$HOME"});
    machine.networking_options = {"vde,sock=$QEMU_VDE_SOCKET_12"};
    REQUIRE(hostside::expand_vde_sockets(machine, environment));
    CHECK(machine.qemu_options == Words{"vde,id=vlan1,sock=/tmp/a,,b/vde1.ctl", "a/tmp/vde12.ctl/tmp/a,,b/vde1.ctl.", "$HOME"});
    CHECK(machine.networking_options == Words{"vde,sock=/tmp/vde12.ctl"});
}

TEST_CASE("a switch's socket that nobody set is refused by its name") {
    auto machine = with({"vde,id=vlan2,sock=$QEMU_VDE_SOCKET_2"});
    const auto done = hostside::expand_vde_sockets(machine, environment);
    REQUIRE_FALSE(done);
    CHECK(message(done.error()) ==
          "QEMU argument 'vde,id=vlan2,sock=$QEMU_VDE_SOCKET_2': QEMU_VDE_SOCKET_2 is not set; only NixOS's test driver sets it; "
          "otherwise, use vlans to connect machines");
}

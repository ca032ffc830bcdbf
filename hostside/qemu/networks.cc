#include "hostside/qemu/parts.h"

#include <format>
#include <set>

namespace hostside {

namespace {

base::Result<std::string> user_network(const Machine &m) {
    std::string net = "user,id=user.0";
    if (m.restrict_network) net += ",restrict=on";
    std::set<std::string> taken;
    for (const auto &p : m.forward_ports) {
        const std::string key = std::format("{} {} {}", p.from, p.protocol, p.from == "host" ? p.host_port : p.guest_port);
        if (!taken.insert(key).second)
            return base::fail(0, "forward port", std::format("{}", p.from == "host" ? p.host_port : p.guest_port),
                              std::format("two of forwardPorts take this {} port of the {}; change one", p.protocol, p.from));
        if (p.from == "host")
            net += std::format(",hostfwd={}:{}:{}-{}:{}", p.protocol, p.host_address, p.host_port, p.guest_address, p.guest_port);
        else
            net += std::format(",guestfwd={}:{}:{}-cmd:nc {} {}", p.protocol,
                               p.guest_address.empty() ? "10.0.2.100" : p.guest_address, p.guest_port,
                               p.host_address.empty() ? "127.0.0.1" : p.host_address, p.host_port);
    }
    // Users write it with a leading comma or without.
    if (!m.net_options.empty()) net += (m.net_options.starts_with(',') ? "" : ",") + m.net_options;
    return net;
}

}  // namespace

base::Result<> add_networks(Argv &argv, const Machine &m) {
    auto net = user_network(m);
    if (!net) return std::unexpected(net.error());
    add(argv, "-netdev", *net);
    add(argv, "-device", "virtio-net-pci,netdev=user.0");
    // A virtual switch a vlan: multicast that never leaves the loopback device, so that no one needs to be root.
    // Addresses of the cards as NixOS's test driver gives them (nixos/lib/qemu-common.nix).
    for (size_t i = 0; i < m.vlans.size(); ++i) {
        const int vlan = m.vlans[i];
        add(argv, "-netdev",
            std::format("socket,id=vlan{0},mcast=230.0.0.{1}:{2},localaddr=127.0.0.1", i + 1, vlan % 256, 21000 + vlan));
        add(argv, "-device",
            std::format("virtio-net-pci,netdev=vlan{},mac=52:54:00:12:{:02x}:{:02x}", i + 1, vlan, m.node_number));
    }
    return {};
}

}  // namespace hostside

#include "hostside/qemu/parts.h"

#include <arpa/inet.h>

#include <algorithm>
#include <format>

#include "hostside/base/run_names.h"
#include "hostside/base/shell_words.h"

namespace hostside {

namespace {

using base::fail;

constexpr std::string_view guest_end = "10.0.2.100";  // the usual address for a guest's connections in QEMU's user network

bool any(const std::string &address) { return address.empty() || address == "0.0.0.0"; }

base::Result<> check_address(const std::string &address) {
    in_addr parsed{};
    if (address.empty() || ::inet_pton(AF_INET, address.c_str(), &parsed) == 1) return {};
    in6_addr other{};
    if (::inet_pton(AF_INET6, address.c_str(), &other) == 1)
        return fail(
            0, "forward port", address,
            "this is an IPv6 address, and QEMU's user network forwards only IPv4; use 127.0.0.1 for ::1, and no address for ::");
    return fail(0, "forward port", address, "not an IPv4 address; QEMU forwards only IPv4");
}

// Checks each rule alone and against earlier ones.
base::Result<> check_rules(const std::vector<ForwardPort> &ports) {
    for (size_t i = 0; i < ports.size(); ++i) {
        const ForwardPort &p = ports[i];
        for (const auto &address : {p.host_address, p.guest_address})
            if (auto ok = check_address(address); !ok) return ok;
        const bool from_host = p.from == "host";
        const auto taken_port = [&](const ForwardPort &o) { return from_host ? o.host_port : o.guest_port; };
        const auto taken_address = [&](const ForwardPort &o) { return from_host ? o.host_address : o.guest_address; };
        const std::string name = std::to_string(taken_port(p));
        if (!from_host && p.protocol != "tcp")
            return fail(0, "forward port", name, "QEMU forwards only tcp from the guest; change its proto");
        if (!from_host && !p.guest_address.empty() && !p.guest_address.starts_with("10.0.2."))
            return fail(0, "forward port", name,
                        std::format("guest address {} is outside the user network; use one in 10.0.2.0/24", p.guest_address));
        const auto clashes = [&](const ForwardPort &o) {
            return o.from == p.from && o.protocol == p.protocol && taken_port(o) == taken_port(p) &&
                   (any(taken_address(o)) || any(taken_address(p)) || taken_address(o) == taken_address(p));
        };
        if (std::any_of(ports.begin(), ports.begin() + static_cast<std::ptrdiff_t>(i), clashes))
            return fail(0, "forward port", name,
                        std::format("two entries of forwardPorts take this {} port of the {}; change one", p.protocol, p.from));
    }
    return {};
}

std::string user_network(const Machine &m, const HostFacts &facts) {
    std::string net = "user,id=user.0";
    if (m.restrict_network) net += ",restrict=on";
    for (const auto &p : m.forward_ports)
        if (p.from == "host")
            net += std::format(",hostfwd={}:{}:{}-{}:{}", p.protocol, p.host_address, p.host_port, p.guest_address, p.guest_port);
        else
            net += std::format(
                ",guestfwd={}:{}:{}-cmd:{}", p.protocol, p.guest_address.empty() ? guest_end : p.guest_address, p.guest_port,
                escaped(quote_words({facts.runvm, "relay", std::format("{}/{}", facts.run_directory, relay_socket),
                                     p.host_address.empty() ? "127.0.0.1" : p.host_address, std::to_string(p.host_port)})));
    // The option may begin with a comma.
    const std::string &more = m.user_network_options;
    return net + (more.empty() || more.starts_with(',') ? "" : ",") + more;
}

}  // namespace

base::Result<> add_networks(Argv &argv, const Machine &m, const HostFacts &facts) {
    if (!m.networking_options.empty() && !m.forward_ports.empty())
        return fail(0, "forward port", std::to_string(m.forward_ports.front().host_port),
                    "forwardPorts needs the user network, which qemu.networkingOptions replaces; drop one of them");
    if (auto ok = check_rules(m.forward_ports); !ok) return ok;
    if (m.networking_options.empty()) {
        add(argv, "-netdev", user_network(m, facts));
        // A saved machine never boots from the network, and its state is smaller without the card's firmware.
        add(argv, "-device", std::string("virtio-net-pci,netdev=user.0") + (facts.memory_file.empty() ? "" : ",romfile="));
    } else {
        argv.insert(argv.end(), m.networking_options.begin(), m.networking_options.end());
    }
    // MAC addresses as in NixOS's test driver (nixos/lib/qemu-common.nix).
    const std::vector<int> vlans = all_vlans(m);
    for (size_t i = 0; i < vlans.size(); ++i) {
        const int vlan = vlans[i];
        if (std::ranges::count(vlans, vlan) > 1)
            return fail(
                0, "join vlan", std::to_string(vlan),
                "this machine would have two cards there with the same address; name the vlan once in vlans and interfaces");
        const std::string directory = vlan_directory(facts.runtime, vlan);
        add(argv, "-netdev",
            std::format("dgram,id=vlan{},local.type=unix,local.path={},remote.type=unix,remote.path={}", i + 1,
                        escaped(vlan_guest_socket(directory, m.node_number)),
                        escaped(vlan_switch_socket(directory, m.node_number))));
        add(argv, "-device",
            std::format("virtio-net-pci,netdev=vlan{},mac=52:54:00:12:{:02x}:{:02x}", i + 1, vlan, m.node_number));
    }
    return {};
}

std::vector<int> all_vlans(const Machine &m) {
    std::vector<int> vlans = m.vlans;
    for (const auto &interface : m.interfaces) vlans.push_back(interface.vlan);
    return vlans;
}

}  // namespace hostside

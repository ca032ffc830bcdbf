#include "hostside/description/option.h"
#include "hostside/description/shorthand.h"

namespace hostside {

using M = Machine;

namespace {

Option end_of_port(std::string_view name, std::string_view help) {
    Option end = group(name, help,
                       {text("address", nullptr, "ADDRESS", "an IPv4 address; empty: any"),
                        required(integer("port", nullptr, {1, 65535}, "", "PORT", "a port"))});
    return required(end);
}

}  // namespace

Subject share_options() {
    Option shares = objects(
        "sharedDirectories", "additional directories of the host; a list, or an object by tag",
        {required(text("tag", nullptr, "TAG", "the share's name")),
         required(text("source", nullptr, "DIR", "the directory on the host")),
         required(text("target", nullptr, "PATH", "the directory in the guest")),
         choice("securityModel", nullptr, {"", "none", "mapped-xattr", "mapped-file", "passthrough"}, "\"\"",
                "QEMU's security_model; empty: mapped-xattr as root, else none"),
         choice("proto", nullptr, {"", "auto", "9p", "virtiofs"}, "\"\"", "how the guest gets it; empty: as shareKind says"),
         boolean("readOnly", nullptr, false, "the guest cannot write to it")});
    shares.named_by = "tag";
    shares.shorthand = share_from;
    shares.shorthand_form = "TAG=SOURCE:TARGET[:ro]";
    return {"Shared directories",
            {text("sharedDir", &M::shared_dir, "DIR",
                  "the host's directory that the guest sees as /tmp/shared; empty: the same as /tmp/xchg"),
             std::move(shares),
             choice("shareKind", &M::share_kind, {"auto", "9p", "virtiofs"}, "\"9p\"",
                    "how the guest gets /tmp/xchg, /tmp/shared and the shared directories; auto: over virtiofs if possible, "
                    "otherwise over 9p"),
             boolean("useHostCerts", &M::use_host_certs, false,
                     "gives the guest the host's certificates in /etc/ssl/certs: the file that NIX_SSL_CERT_FILE names"),
             integer("msize", &M::msize, {0, 512000}, "0", "BYTES",
                     "9p packet size of sharedDirectories in bytes; 0: stage1 chooses")}};
}

Subject network_options() {
    Option ports = objects(
        "forwardPorts", "ports that are forwarded between host and guest",
        {choice("from", nullptr, {"host", "guest"}, "\"host\"", "the side that connects"),
         choice("proto", nullptr, {"tcp", "udp"}, "\"tcp\"", "the protocol; from the guest, only tcp"),
         end_of_port("host", "the host's end"), end_of_port("guest", "the guest's end; if the guest connects, in 10.0.2.0/24")});
    ports.shorthand = port_from;
    ports.shorthand_form = "[udp:][ADDRESS:]HOSTPORT:GUESTPORT";
    Option interfaces =
        objects("interfaces", "network cards on vlans, in addition to those of the key vlans; a list, or an object by name",
                {required(text("name", nullptr, "NAME", "the card's name in the guest, which finds it by its MAC address")),
                 required(integer("vlan", nullptr, {1, 255}, "", "N", "the number of the virtual switch")),
                 boolean("assignIP", nullptr, false, "affects only the guest's own configuration")});
    interfaces.named_by = "name";
    interfaces.shorthand = interface_from;
    interfaces.shorthand_form = "NAME=VLAN";
    return {
        "Network",
        {std::move(ports),
         boolean("restrictNetwork", &M::restrict_network, false,
                 "isolates the guest from the host and the network, except for forwarded ports"),
         integers("vlans", &M::vlans, {1, 255}, "N", "virtual switches that this machine is connected to"), std::move(interfaces),
         with_default("1", integer("nodeNumber", &M::node_number, {1, 254}, "1", "N",
                                   "this machine's number on its vlans: 192.168.VLAN.NUMBER"))}};
}

}  // namespace hostside

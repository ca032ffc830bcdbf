#include "hostside/export/kubevirt_machine.h"

#include <algorithm>
#include <format>
#include <string_view>

#include "hostside/description/json.h"
#include "hostside/qemu/command.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace protocol = mounts::protocol;

// A Kubernetes name (RFC 1123) begins and ends with a letter or a digit.
bool is_label(std::string_view name) {
    constexpr size_t longest = 63;
    return !name.empty() && name.size() <= longest && !name.starts_with('-') && !name.ends_with('-') &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

struct Parts {
    Json disks = Json::array(), volumes = Json::array(), interfaces = Json::array(), networks = Json::array();

    void disk(const std::string &name, const std::string &serial, const char *kind, Json source, bool read_only = false) {
        Json disk = {{"name", name}, {"disk", {{"bus", "virtio"}}}};
        if (read_only) disk["disk"]["readonly"] = true;
        if (!serial.empty()) disk["serial"] = serial;
        disks.push_back(std::move(disk));
        volumes.push_back({{"name", name}, {kind, std::move(source)}});
    }
};

void add_disks(Parts &parts, const Machine &m, const std::string &image) {
    const auto empty = [](int mib) { return Json{{"capacity", std::format("{}Mi", mib)}}; };
    // Stage 1 creates its file system at each start.
    if (!m.disk_image.empty()) parts.disk("root", std::string(protocol::root_disk_serial), "emptyDisk", empty(m.disk_mib));
    for (size_t i = 0; i < m.empty_disks_mib.size(); ++i)
        parts.disk(std::format("empty{}", i), std::format("empty{}", i), "emptyDisk", empty(m.empty_disks_mib[i]));
    for (size_t i = 0; i < m.drives.size(); ++i)
        parts.disk(std::format("drive{}", i), m.drives[i].serial, "hostDisk", {{"path", m.drives[i].file}, {"type", "Disk"}},
                   m.drives[i].read_only);
    if (!m.store.empty())
        parts.disk("store", std::string(protocol::store_disk_serial), "containerDisk",
                   {{"image", image}, {"path", "/disk/store.erofs"}}, true);
}

void add_cards(Parts &parts, const Machine &m) {
    Json pod = {{"name", "default"}, {"masquerade", Json::object()}, {"model", "virtio"}};
    for (const auto &port : m.forward_ports)
        pod["ports"].push_back({{"port", port.guest_port}, {"protocol", port.protocol == "udp" ? "UDP" : "TCP"}});
    parts.interfaces.push_back(std::move(pod));
    parts.networks.push_back({{"name", "default"}, {"pod", Json::object()}});
    for (const int vlan : all_vlans(m)) {
        const std::string name = std::format("vlan{}", vlan);
        parts.interfaces.push_back({{"name", name},
                                    {"bridge", Json::object()},
                                    {"model", "virtio"},
                                    {"macAddress", std::format("52:54:00:12:{:02x}:{:02x}", vlan, m.node_number)}});
        parts.networks.push_back({{"name", name}, {"multus", {{"networkName", name}}}});
    }
}

Result<> check_for_kubevirt(const Machine &m) {
    auto said = of_runvm_alone(m);
    const auto elsewhere = [](const ForwardPort &port) {
        return port.from != "host" || !port.host_address.empty() || !port.guest_address.empty();
    };
    if (!m.disk_image.empty() && !m.ephemeral)
        return fail(0, "export", "diskImage",
                    "KubeVirt's root disk is empty at each start; pass --ephemeral, or --disk-image '' for a root on tmpfs");
    for (const auto &one : {std::pair{"sharedDir", !m.shared_dir.empty()},
                            {"sharedDirectories", !m.shared_directories.empty()},
                            {"forwardPorts", std::ranges::any_of(m.forward_ports, elsewhere)},
                            {"drives", std::ranges::any_of(m.drives, [](const Drive &d) { return d.format != "raw"; })},
                            {"storeKind", m.store_kind == "9p" || m.store_kind == "virtiofs"},
                            {"qemu.diskInterface", m.disk_interface != "virtio"},
                            {"accelerator", m.accelerator == "tcg"},
                            {"allowReboot", m.allow_reboot},
                            {"vsock", m.vsock_cid > 0}})
        said.push_back(one);
    if (auto ok = refuse_unsayable("KubeVirt", said); !ok) return ok;
    if (!is_label(m.name))
        return fail(0, "export", "name", "a Kubernetes name has lower-case letters, digits and '-', at most 63 characters");
    return {};
}

}  // namespace

Result<std::string> kubevirt_machine(const Exported &exported, const std::string &image) {
    const Machine &m = exported.machine;
    if (auto ok = check_for_kubevirt(m); !ok) return std::unexpected(ok.error());
    Parts parts;
    add_disks(parts, m, image);
    add_cards(parts, m);
    Json devices = {{"disks", parts.disks},
                    {"interfaces", parts.interfaces},
                    {"autoattachGraphicsDevice", false},
                    {"autoattachMemBalloon", m.balloon},
                    {"logSerialConsole", true}};
    if (m.rng) devices["rng"] = Json::object();
    Json cpu = {{"cores", m.cores}};
    if (!m.cpu.empty()) cpu["model"] = m.cpu == "host" ? "host-passthrough" : m.cpu;
    const Json container = {{"image", image}, {"kernelPath", "/boot/kernel"}, {"initrdPath", "/boot/initrd"}};
    Json domain = {{"cpu", cpu},
                   {"memory", {{"guest", std::format("{}Mi", m.memory_mib)}}},
                   {"firmware", {{"kernelBoot", {{"kernelArgs", exported.command_line}, {"container", container}}}}},
                   {"devices", devices}};
    if (!m.machine_type.empty()) domain["machine"] = {{"type", m.machine_type}};
    const Json spec = {{"domain", domain}, {"networks", parts.networks}, {"volumes", parts.volumes}};
    // A machine that powers itself off is finished.
    const Json machine = {{"apiVersion", "kubevirt.io/v1"},
                          {"kind", "VirtualMachine"},
                          {"metadata", {{"name", m.name}}},
                          {"spec", {{"runStrategy", "RerunOnFailure"}, {"template", {{"spec", spec}}}}}};
    return machine.dump(2) + "\n";
}

}  // namespace hostside

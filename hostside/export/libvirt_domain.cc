#include "hostside/export/libvirt_domain.h"

#include <format>
#include <string_view>

#include "hostside/base/printable.h"
#include "hostside/qemu/command.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace protocol = mounts::protocol;

std::string attribute(std::string_view text) {
    std::string result;
    for (const char c : text) switch (c) {
        case '&': result += "&amp;"; break;
        case '<': result += "&lt;"; break;
        case '>': result += "&gt;"; break;
        case '\'': result += "&apos;"; break;
        default: result += c;
        }
    return result;
}

std::string disk(const Drive &drive, size_t number, bool transient) {
    std::string more;
    if (!drive.serial.empty()) more += std::format("      <serial>{}</serial>\n", attribute(drive.serial));
    if (drive.read_only) more += "      <readonly/>\n";
    if (transient) more += "      <transient/>\n";
    return std::format(R"(    <disk type='file' device='disk'>
      <driver name='qemu' type='{}'/>
      <source file='{}'/>
      <target dev='vd{}' bus='virtio'/>
{}    </disk>
)",
                       attribute(drive.format), attribute(drive.file), static_cast<char>('a' + number), more);
}

std::string disks(const Machine &m) {
    std::string text;
    size_t number = 0;
    if (!m.disk_image.empty())
        text += disk({.file = m.disk_image, .serial = std::string(protocol::root_disk_serial), .format = m.disk_image_format},
                     number++, m.ephemeral);
    for (const auto &drive : m.drives) text += disk(drive, number++, false);
    return text;
}

// libvirt's names for QEMU's security models.
Result<std::string> share(const std::string &directory, std::string_view tag, const std::string &model, bool read_only) {
    const char *mode = model == "mapped-xattr"                           ? "mapped"
                       : model == "passthrough"                          ? "passthrough"
                       : model == "none" || (model.empty() && read_only) ? "squash"
                       : model.empty()                                   ? "mapped"
                                                                         : nullptr;
    if (mode == nullptr) return fail(0, "export", "sharedDirectories", std::format("libvirt has no security model {}", model));
    return std::format(R"(    <filesystem type='mount' accessmode='{}' multidevs='remap'>
      <source dir='{}'/>
      <target dir='{}'/>
{}    </filesystem>
)",
                       mode, attribute(directory), attribute(tag), read_only ? "      <readonly/>\n" : "");
}

Result<std::string> shares(const Machine &m) {
    std::string text;
    const auto add = [&](const std::string &directory, std::string_view tag, const std::string &model, bool read_only) {
        return share(directory, tag, model, read_only).transform([&](const std::string &one) { text += one; });
    };
    if (!m.store.empty())
        if (auto ok = add(m.store, protocol::store_tag, "none", true); !ok) return std::unexpected(ok.error());
    if (!m.shared_dir.empty())
        for (const std::string_view tag : {protocol::xchg_tag, protocol::shared_tag})
            if (auto ok = add(m.shared_dir, tag, "", false); !ok) return std::unexpected(ok.error());
    for (const auto &s : m.shared_directories)
        if (auto ok = add(s.source, s.tag, s.security_model, s.read_only); !ok) return std::unexpected(ok.error());
    return text;
}

// libvirt machines on the same vlan share a multicast group, whose port depends on the vlan's number.
std::string cards(const Machine &m) {
    constexpr int first_port = 5800;
    std::string text = "    <interface type='user'>\n      <model type='virtio'/>\n    </interface>\n";
    for (const int vlan : all_vlans(m))
        text += std::format(R"(    <interface type='mcast'>
      <mac address='52:54:00:12:{:02x}:{:02x}'/>
      <source address='230.0.0.1' port='{}'/>
      <model type='virtio'/>
    </interface>
)",
                            vlan, m.node_number, first_port + vlan);
    return text;
}

std::string cpu(const Machine &m) {
    if (m.cpu == "host" || (m.cpu.empty() && m.accelerator != "tcg")) return "<cpu mode='host-passthrough'/>";
    if (m.cpu == "max" || m.cpu.empty()) return "<cpu mode='maximum'/>";
    return std::format("<cpu mode='custom' match='exact'><model>{}</model></cpu>", attribute(m.cpu));
}

Result<> check_for_libvirt(const Machine &m) {
    auto said = of_runvm_alone(m);
    constexpr size_t letters = 26;
    for (const auto &one : {std::pair{"emptyDiskImages", !m.empty_disks_mib.empty()},
                            {"forwardPorts", !m.forward_ports.empty()},
                            {"storeKind", m.store_kind == "erofs" || m.store_kind == "virtiofs"},
                            {"qemu.diskInterface", m.disk_interface != "virtio"},
                            {"cpu", m.cpu.contains(',')},
                            {"drives", m.drives.size() >= letters}})
        said.push_back(one);
    if (auto ok = refuse_unsayable("libvirt", said); !ok) return ok;
    for (const auto &text : {m.name, m.disk_image, m.store, m.shared_dir})
        if (printable(text) != text) return fail(0, "export", text, "XML can't represent these characters");
    return {};
}

}  // namespace

Result<std::string> libvirt_domain(const Exported &exported) {
    const Machine &m = exported.machine;
    if (auto ok = check_for_libvirt(m); !ok) return std::unexpected(ok.error());
    auto shared = shares(m);
    if (!shared) return shared;
    std::string more;
    if (!exported.qemu.empty()) more += std::format("    <emulator>{}</emulator>\n", attribute(exported.qemu));
    more += disks(m) + *shared + cards(m);
    if (m.rng) more += "    <rng model='virtio'>\n      <backend model='random'>/dev/urandom</backend>\n    </rng>\n";
    if (m.vsock_cid > 0)
        more += std::format("    <vsock model='virtio'>\n      <cid auto='no' address='{}'/>\n    </vsock>\n", m.vsock_cid);
    return std::format(R"(<domain type='{0}'>
  <name>{1}</name>
  <memory unit='MiB'>{2}</memory>
  <vcpu>{3}</vcpu>
  <os>
    <type arch='x86_64' machine='{4}'>hvm</type>
    <kernel>{5}</kernel>
    <initrd>{6}</initrd>
    <cmdline>{7}</cmdline>
  </os>
  <features>
    <acpi/>
    <apic/>
  </features>
  {8}
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>{9}</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
{10}    <serial type='pty'/>
    <memballoon model='{11}'/>
    <panic model='isa'/>
  </devices>
</domain>
)",
                       m.accelerator == "tcg" ? "qemu" : "kvm", attribute(m.name), m.memory_mib, m.cores,
                       attribute(m.machine_type.empty() ? "pc" : m.machine_type), attribute(exported.kernel),
                       attribute(exported.initrd), attribute(exported.command_line), cpu(m),
                       m.allow_reboot ? "restart" : "destroy", more, m.balloon ? "virtio" : "none");
}

}  // namespace hostside

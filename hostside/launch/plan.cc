#include "hostside/launch/plan.h"

#include <format>
#include <utility>

#include "hostside/base/run_names.h"
#include "hostside/boot/initrd.h"
#include "hostside/boot/kernel_command_line.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::Result;
namespace protocol = mounts::protocol;

// The archives that are appended to the initrd.
std::string archives_of(const std::string &parameters, const std::string &registration) {
    std::string archives;
    if (!parameters.empty()) archives += archive_of(protocol::parameters_file, parameters + "\n");
    if (!registration.empty()) archives += archive_of(protocol::reginfo_file, registration);
    return archives;
}

// QEMU takes one initrd file: the cache's unchanged, or a copy with the archives appended.
void plan_initrd_file(LaunchPlan &plan, BootFile initrd, bool cache, const std::string &archives) {
    if (!initrd.bytes.empty() && cache) {
        plan.steps.emplace_back(
            WriteFile{.path = initrd.path, .beginning = "", .bytes = std::move(initrd.bytes), .cached = true});
        initrd.bytes.clear();
    }
    plan.host.initrd = initrd.path;
    if (initrd.bytes.empty() && archives.empty()) return;
    plan.host.initrd =
        cache ? cache_path("initrd-" + short_hash(initrd.identity + archives)) : plan.host.run_directory + "/initrd";
    const bool made = !initrd.bytes.empty();
    plan.steps.emplace_back(WriteFile{.path = plan.host.initrd,
                                      .beginning = made ? "" : initrd.path,
                                      .bytes = made ? with_archives(std::move(initrd.bytes), archives) : archives,
                                      .cached = cache});
}

Result<> plan_boot(LaunchPlan &plan, BootFacts boot, bool fresh_disk, bool grows) {
    // The parameter is still there after a reboot, so stage 1 asks the launcher whether it is still true (run/status_port.h).
    std::string line = boot.boot.command_line;
    if (fresh_disk) add_parameter(line, std::format("{}={}", protocol::fresh_disk_parameter, protocol::root_disk_serial));
    if (grows && !line.contains("rootflags=")) add_parameter(line, "rootflags=x-nixos.autoresize");
    // On a busy host an emulated timer ticks late. A kernel that checks it at start considers it broken and panics.
    if (!plan.host.kvm) add_parameter(line, "no_timer_check");
    auto parts = command_line_parts(line);
    if (!parts) return std::unexpected(parts.error());
    plan.host.command_line = std::move(parts->line);
    plan.host.kernel = boot.kernel.path;
    if (!boot.kernel.bytes.empty())
        plan.steps.emplace_back(
            WriteFile{.path = boot.kernel.path, .beginning = "", .bytes = std::move(boot.kernel.bytes), .cached = boot.cache});
    plan_initrd_file(plan, std::move(boot.initrd), boot.cache, archives_of(parts->parameters, boot.registration));
    return {};
}

// What a root disk is made for: the system, or whatever else determines what boots.
const std::string &booted(const Machine &m) {
    if (m.use_boot_loader) return m.boot_disk;
    return m.toplevel.empty() ? m.kernel : m.toplevel;
}

// Every description has the default, so the default is not a request.
bool size_said(const Machine &m) {
    constexpr int default_mib = 1024;
    return !m.disk_image.empty() && m.disk_mib != default_mib;
}

// Enlarges an image to diskSize; never shrinks it.
void plan_growth(LaunchPlan &plan, const Machine &m, const RootImageFacts &root) {
    constexpr uint64_t mib = uint64_t{1} << 20;
    const uint64_t wanted = static_cast<uint64_t>(m.disk_mib) * mib;
    if (!size_said(m) || root.size_bytes == 0 || root.size_bytes == wanted) return;
    if (root.size_bytes > wanted) {
        plan.notes.push_back(std::format("{} has {} MiB, and images never shrink: diskSize {} is ignored", m.disk_image,
                                         root.size_bytes / mib, m.disk_mib));
        return;
    }
    if (root.device) {
        plan.notes.push_back(std::format("{} has {} MiB, and a device keeps its size: diskSize {} is ignored", m.disk_image,
                                         root.size_bytes / mib, m.disk_mib));
        return;
    }
    plan.steps.emplace_back(GrowImage{m.disk_image, m.disk_mib, m.disk_image_format});
    // The guest is asked to grow its file system by the command line, but a boot loader has its own command line.
    plan.notes.push_back(
        std::format("{} grows from {} to {} MiB, and its file system {}", m.disk_image, root.size_bytes / mib, m.disk_mib,
                    m.use_boot_loader ? "does not, because of the boot loader: run resize2fs in the guest" : "grows too"));
}

void plan_root_image(LaunchPlan &plan, const Machine &m, const RootImageFacts &root) {
    const std::string &image = m.disk_image;
    if (image.empty()) return;
    const bool kept = root.there && root.put_aside.empty();
    if (root.there && !plan.host.restored) plan.steps.emplace_back(HoldImage{image, root.empty, m.disk_image_format});
    if (!root.put_aside.empty()) {
        plan.steps.emplace_back(PutAside{image, root.put_aside});
        plan.notes.push_back(std::format("put {} aside as {}", image, root.put_aside));
    }
    if (m.ephemeral && kept)
        plan.steps.emplace_back(OverlayImage{plan.host.root_image, image, m.disk_image_format});
    else if (!kept)
        plan.steps.emplace_back(MakeImage{plan.host.root_image, m.disk_mib, m.ephemeral ? "qcow2" : m.disk_image_format});
    if (m.ephemeral) return;
    if (kept) plan_growth(plan, m, root);
    if (!kept) {
        plan.steps.emplace_back(HoldImage{image, false, m.disk_image_format});
        if (!plan.host.memory_file.empty()) return;  // a snapshot's disk
        plan.notes.push_back(std::format("created {}, {} MiB", image, m.disk_mib));
        plan.steps.emplace_back(WriteStamp{image, booted(m)});
    } else if (!root.made_for.empty() && root.made_for != booted(m)) {
        plan.notes.push_back(std::format("warning: {} was made for {}, but now boots {}; pass --fresh to start over", image,
                                         root.made_for, booted(m)));
    }
}

}  // namespace

Result<LaunchPlan> plan_launch(const Machine &m, LaunchFacts facts) {
    LaunchPlan plan{.steps = {}, .host = std::move(facts.host), .learned = std::move(facts.learned), .notes = {}};
    HostFacts &host = plan.host;
    plan.notes = std::move(facts.notes);
    // First, while nothing is done yet: if an entry is gone from the cache, the launch starts over.
    for (const BootFile *file : {&facts.boot.kernel, &facts.boot.initrd})
        if (file->cached) plan.steps.emplace_back(UseCached{file->path});
    for (const int vlan : all_vlans(m)) plan.steps.emplace_back(JoinVlan{host.runtime, vlan, m.node_number});
    RelayGuest relay{std::format("{}/{}", host.run_directory, relay_socket), {}};
    for (const auto &p : m.forward_ports)
        if (p.from == "guest")
            relay.targets.push_back(std::format("{} {}", p.host_address.empty() ? "127.0.0.1" : p.host_address, p.host_port));
    if (!relay.targets.empty()) plan.steps.emplace_back(std::move(relay));
    plan.steps.emplace_back(MakeOwnDirectory{host.xchg, host.run_as});
    const bool new_image = !facts.root.there || !facts.root.put_aside.empty();
    host.root_image = m.ephemeral && !m.disk_image.empty() ? host.run_directory + "/root.qcow2" : m.disk_image;
    host.root_image_empty =
        !m.disk_image.empty() && facts.root.promised && (new_image || host.restored || (facts.root.empty && !m.ephemeral));
    if (m.use_boot_loader)
        host.oem_parameters =
            oem_parameters(m, host.root_image_empty, facts.boot_label.empty() ? "" : "LABEL=" + facts.boot_label);
    else if (auto done =
                 plan_boot(plan, std::move(facts.boot), host.root_image_empty, size_said(m) && !new_image && !m.ephemeral);
             !done)
        return std::unexpected(done.error());
    plan_root_image(plan, m, facts.root);
    if (m.use_efi_boot) {
        host.efi_variables = m.ephemeral ? host.run_directory + "/efi-vars.fd" : m.efi_own_variables;
        if (!facts.efi_template.empty()) plan.steps.emplace_back(CopyFile{facts.efi_template, host.efi_variables, !m.ephemeral});
    }
    if (!facts.host_certificates.empty()) {
        host.certificates = host.run_directory + "/certs";
        plan.steps.emplace_back(ShareFile{facts.host_certificates, host.certificates, "ca-certificates.crt"});
    }
    for (size_t i = 0; i < m.empty_disks_mib.size(); ++i) {
        host.empty_images.push_back(std::format("{}/empty{}.qcow2", host.run_directory, i));
        plan.steps.emplace_back(MakeImage{host.empty_images.back(), m.empty_disks_mib[i]});
    }
    if (auto argv = qemu_argv(m, host); !argv) return std::unexpected(argv.error());
    return plan;
}

Result<WriteFile> plan_initrd(const LaunchFacts &facts, const std::string &path) {
    auto parts = command_line_parts(facts.boot.boot.command_line);
    if (!parts) return std::unexpected(parts.error());
    const BootFile &initrd = facts.boot.initrd;
    const std::string archives = archives_of(parts->parameters, facts.boot.registration);
    if (initrd.bytes.empty()) return WriteFile{.path = path, .beginning = initrd.path, .bytes = archives};
    return WriteFile{.path = path, .beginning = "", .bytes = with_archives(initrd.bytes, archives)};
}

}  // namespace hostside

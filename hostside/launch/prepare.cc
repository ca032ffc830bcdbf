#include "hostside/launch/prepare.h"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <format>

#include "hostside/host/image.h"
#include "hostside/host/ports.h"
#include "hostside/host/root_disk.h"
#include "hostside/host/run_directory.h"
#include "hostside/launch/prepare_boot.h"
#include "hostside/qemu/program.h"
#include "hostside/store/store.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

// xchg is a fresh folder in the run folder, but $TMPDIR/xchg with TMPDIR and USE_TMPDIR, as the 2013 script had it.
Result<> prepare_folders(HostFacts &facts, const Machine &m, const PrepareOptions &options) {
    const char *temporary = std::getenv("TMPDIR");
    const char *use = std::getenv("USE_TMPDIR");
    const bool kept = temporary != nullptr && *temporary != '\0' && use != nullptr && *use != '\0';
    const std::string parent = kept ? fs::absolute(temporary).string() : options.run_folder;
    facts.xchg = parent + "/xchg";
    if (options.make) {
        auto own = own_folder(parent, "xchg");
        if (!own) return std::unexpected(own.error());
        facts.xchg = *own;
    }
    facts.shared = m.shared_dir.empty() ? facts.xchg : m.shared_dir;
    for (const auto &[what, path] : {std::pair{std::string("store"), m.store}, {"sharedDir", m.shared_dir}}) {
        std::error_code error;
        if (!path.empty() && !fs::is_directory(path, error))
            return fail(0, "share", path, std::format("{} is not a folder; name one that is there", what));
    }
    for (const auto &s : m.shared_directories) {
        std::error_code error;
        if (!fs::is_directory(s.source, error))
            return fail(0, "share", s.source, std::format("source of {} is not a folder; name one that is there", s.tag));
    }
    return {};
}

Result<> prepare_boot_disk(Prepared &prepared, const Machine &m) {
    if (!m.use_boot_loader) return {};
    if (m.boot_disk.empty())
        return fail(0, "find boot disk", "", "useBootLoader needs bootDisk, the image that boots; name one with --boot-disk");
    auto format = format_of(m.boot_disk);
    if (!format) return fail(format.error().code, "open boot disk", m.boot_disk, "name one with --boot-disk");
    if (*format == "qcow2")
        if (auto good = check_qcow2(m.boot_disk, "name another with --boot-disk"); !good) return good;
    prepared.facts.boot_disk_format = std::move(*format);
    if (!m.paths_in_nix_db.empty())
        prepared.notes.emplace_back("pathsInNixDB goes into the initrd, and a boot loader has its own: they are not registered");
    return {};
}

// All that can be refused was looked at before: now images are made.
Result<> make_images(Prepared &prepared, RootDisk &disk, const Machine &m, const RootDiskWish &wish) {
    const HostFacts &facts = prepared.facts;
    if (auto made = make_root_disk(disk, m, wish); !made) return made;
    for (auto &note : disk.notes) prepared.notes.push_back(std::move(note));
    for (auto &lock : disk.locks) prepared.locks.push_back(std::move(lock));
    for (size_t i = 0; i < facts.empty_images.size(); ++i)
        if (auto made = ensure_image(facts.qemu, facts.empty_images[i], m.empty_disks_mib[i]); !made)
            return std::unexpected(made.error());
    return {};
}

Result<> check_drives(const Machine &m) {
    for (const auto &drive : m.drives) {
        if (drive.format == "qcow2") {
            if (auto good = check_qcow2(drive.file, "name another file"); !good) return good;
        } else if (::access(drive.file.c_str(), drive.read_only ? R_OK : R_OK | W_OK) < 0) {
            return fail(errno, "use image", drive.file, "name another file");
        }
    }
    return {};
}

// All of the host's memory is less than this machine's: it would be killed, or swap without end.
Result<> check_memory(const Machine &m) {
    struct sysinfo host{};
    if (::sysinfo(&host) < 0) return {};
    const uint64_t has_mib = (uint64_t{host.totalram} + host.totalswap) * host.mem_unit >> 20;
    if (static_cast<uint64_t>(m.memory_mib) <= has_mib) return {};
    return fail(0, "give memory", "",
                std::format("memorySize is {} MiB, this host has {} MiB in all; lower it", m.memory_mib, has_mib));
}

}  // namespace

void make_paths_absolute(Machine &m) {
    const auto absolute = [](std::string &path) {
        if (!path.empty()) path = fs::absolute(path).lexically_normal();
    };
    for (auto *path :
         {&m.store, &m.kernel, &m.modules, &m.initrd, &m.stage1, &m.boot_disk, &m.bios, &m.disk_image, &m.shared_dir})
        absolute(*path);
    for (auto &drive : m.drives) absolute(drive.file);
    for (auto &share : m.shared_directories) absolute(share.source);
}

namespace {

Result<> join_vlans(Prepared &prepared, const Machine &m) {
    constexpr int oldest_with_datagrams = 7;
    for (const int vlan : all_vlans(m)) {
        if (prepared.facts.qemu_major < oldest_with_datagrams)
            return fail(0, "join vlan", std::to_string(vlan),
                        std::format("QEMU {} has no network of datagrams; 7.2 or newer is needed", prepared.facts.qemu_major));
        auto port = VlanPort::join(prepared.facts.runtime, vlan, m.node_number);
        if (!port) return std::unexpected(port.error());
        prepared.vlans.push_back(std::move(*port));
    }
    return {};
}

}  // namespace

Result<Prepared> prepare(const Machine &described, const PrepareOptions &options) {
    Machine m = described;
    Prepared prepared;
    HostFacts &facts = prepared.facts;
    auto qemu = find_qemu(m.qemu);
    if (!qemu) return std::unexpected(qemu.error());
    facts.qemu = *qemu;
    facts.runvm = fs::read_symlink("/proc/self/exe");
    auto abilities = abilities_of(*qemu);
    if (!abilities) return std::unexpected(abilities.error());
    facts.qemu_major = abilities->major;
    facts.sandbox = abilities->sandbox;
    facts.root = ::geteuid() == 0;
    facts.run_folder = options.run_folder;
    facts.runtime = fs::path(options.run_folder).parent_path();
    facts.terminal = options.terminal;
    facts.monitor = options.monitor;
    if (auto enough = check_memory(m); !enough) return std::unexpected(enough.error());
    if (auto good = check_drives(m); !good) return std::unexpected(good.error());
    if (options.make)
        if (auto free = check_ports(m.forward_ports); !free) return std::unexpected(free.error());
    if (options.make)
        if (auto joined = join_vlans(prepared, m); !joined) return std::unexpected(joined.error());
    if (auto done = prepare_folders(facts, m, options); !done) return std::unexpected(done.error());
    if (auto done = prepare_boot_disk(prepared, m); !done) return std::unexpected(done.error());
    auto store = plan_store(m, options.run_folder);
    if (!store) return std::unexpected(store.error());
    m.store_kind = store->kind;
    facts.store_image = store->image;
    facts.store_socket = store->socket;
    for (auto &note : store->notes) prepared.notes.push_back(std::move(note));
    const RootDiskWish wish{facts.qemu, options.run_folder, options.fresh};
    RootDisk disk{.image = m.disk_image};
    if (options.make) {
        auto seen = look_at_root_disk(m, wish);
        if (!seen) return std::unexpected(seen.error());
        disk = std::move(*seen);
    }
    facts.root_image = disk.image;
    facts.root_image_empty = disk.empty;
    if (!m.use_boot_loader)
        if (auto done = prepare_boot(prepared, m, options); !done) return std::unexpected(done.error());
    for (size_t i = 0; i < m.empty_disks_mib.size(); ++i)
        facts.empty_images.push_back(std::format("{}/empty{}.qcow2", options.run_folder, i));
    if (auto argv = qemu_argv(m, facts); !argv) return std::unexpected(argv.error());
    if (options.make)
        if (auto made = make_images(prepared, disk, m, wish); !made) return std::unexpected(made.error());
    if (options.make) {
        auto provided = provide_store(*store, m, options.run_folder, options.progress);
        if (!provided) return std::unexpected(provided.error());
        facts.store_folder = provided->folder;
        for (auto &note : provided->notes) prepared.notes.push_back(std::move(note));
        prepared.store = std::move(*provided);
    }
    return prepared;
}

}  // namespace hostside

#include "hostside/prepare.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <ranges>

#include "hostside/accelerator.h"
#include "hostside/cache.h"
#include "hostside/image.h"
#include "hostside/initrd.h"
#include "hostside/kernel_command_line.h"
#include "hostside/kernel_image.h"
#include "hostside/ports.h"
#include "hostside/run_folder.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;
namespace protocol = mounts::protocol;

constexpr int oldest_qemu = 6;  // multidevs=remap is of 4.2, mapped files over it were steady from 6.0

bool exists(const std::string &path) { return ::access(path.c_str(), F_OK) == 0; }

Result<std::string> find_program(const std::string &name) {
    if (name.find('/') != std::string::npos) {
        if (::access(name.c_str(), X_OK) == 0) return name;
        return fail(errno, "find QEMU", name, "set it with --qemu");
    }
    const char *path = std::getenv("PATH");
    for (auto part : std::views::split(std::string_view(path != nullptr ? path : ""), ':')) {
        std::string candidate = std::string(std::string_view(part)) + "/" + name;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    return fail(0, "find QEMU", name, "not in PATH; install it (Debian: qemu-system-x86), or name it with --qemu");
}

// `10 sandbox`: the major version, and whether -sandbox on is taken. Asked once a program.
struct Abilities {
    int major = 0;
    bool sandbox = false;
};

Result<Abilities> abilities_of(const std::string &qemu) {
    const std::string path = cache_path("qemu-" + short_hash(file_identity(qemu)));
    if (auto known = cached(path)) {
        Abilities a;
        (void)std::from_chars(known->data(), known->data() + known->size(), a.major);
        a.sandbox = known->ends_with(" sandbox");
        if (a.major > 0) return a;
    }
    auto version = base::run({.argv = {qemu, "--version"}, .capture_output = true});
    if (!version) return std::unexpected(version.error());
    constexpr std::string_view before = "version ";
    const size_t at = version->output.find(before);
    Abilities a;
    if (at != std::string::npos) {
        const char *digits = version->output.data() + at + before.size();
        (void)std::from_chars(digits, version->output.data() + version->output.size(), a.major);
    }
    if (version->status != 0 || a.major == 0)
        return fail(0, "ask version of", qemu, "it did not say one: " + version->output.substr(0, version->output.find('\n')));
    auto sandbox = base::run({.argv = {qemu, "-sandbox", "on", "-machine", "help"}, .capture_output = true});
    a.sandbox = sandbox && sandbox->status == 0;
    remember(path, std::format("{}{}", a.major, a.sandbox ? " sandbox" : ""));
    return a;
}

Result<std::string> uncompressed(const std::string &kernel) {
    const std::string path = cache_path("vmlinux-" + short_hash(file_identity(kernel)));
    if (path.empty()) return fail(ENOENT, "cache", kernel);
    if (exists(path)) return path;
    auto image = base::read_file(kernel);
    if (!image) return std::unexpected(image.error());
    auto elf = uncompressed_kernel(*image, kernel);
    if (!elf) return elf;
    if (auto wrote = base::replace_file(path, *elf); !wrote) return std::unexpected(wrote.error());
    return path;
}

Result<> lock_image(Prepared &prepared, const std::string &path) {
    auto lock = base::open_at(AT_FDCWD, path, O_RDONLY);
    if (!lock) return std::unexpected(lock.error());
    struct stat st{};
    if (::fstat(lock->get(), &st) < 0) return fail(errno, "stat", path);
    // Beside the sockets, by the file's identity: the image's own folder may not be ours to write.
    auto parent = runtime_folder();
    if (!parent) return std::unexpected(parent.error());
    auto held = lock_file(std::format("{}/.image-{}-{}", *parent, st.st_dev, st.st_ino), path);
    if (!held) return std::unexpected(held.error());
    const std::string pid = std::format("{}\n", ::getpid());
    if (::ftruncate(held->get(), 0) < 0 || ::pwrite(held->get(), pid.data(), pid.size(), 0) < 0) return fail(errno, "lock", path);
    prepared.locks.push_back(std::move(*held));
    return {};
}

Result<> put_aside(Prepared &prepared, const std::string &path) {
    std::string aside;
    for (int n = 1; aside.empty() || exists(aside); ++n) aside = std::format("{}.old-{}", path, n);
    if (::rename(path.c_str(), aside.c_str()) < 0) return fail(errno, "put aside", path);
    prepared.notes.push_back(std::format("put {} aside as {}", path, aside));
    return {};
}

// What a disk was made for, beside it: the system's path. A name of its own, for qcow2 has no place for it.
void check_stamp(Prepared &prepared, const Machine &m, bool created) {
    const std::string stamp = m.disk_image + ".runvm";
    if (created) {
        (void)base::replace_file(stamp, m.toplevel + "\n");  // without it, no warning later
        return;
    }
    auto old = base::read_file(stamp, 4096);
    if (!old || *old == m.toplevel + "\n") return;
    while (old->ends_with('\n')) old->pop_back();
    prepared.notes.push_back(
        std::format("warning: {} was made for {}, and now boots {}; --fresh starts over", m.disk_image, *old, m.toplevel));
}

Result<> prepare_root_disk(Prepared &prepared, const Machine &m, const PrepareOptions &options) {
    if (m.disk_image.empty()) return {};
    HostFacts &facts = prepared.facts;
    facts.root_image = fs::absolute(m.disk_image).lexically_normal().string();
    if (!options.make) return {};
    if (m.ephemeral && !exists(facts.root_image)) {
        facts.root_image = options.run_folder + "/root.qcow2";
        auto made = ensure_image(facts.root_image, m.disk_mib);
        facts.root_image_new = made.value_or(false);
        return made ? Result<>{} : std::unexpected(made.error());
    }
    if (exists(facts.root_image)) {
        if (auto locked = lock_image(prepared, facts.root_image); !locked) return locked;
        if (options.fresh)
            if (auto aside = put_aside(prepared, facts.root_image); !aside) return aside;
    }
    if (m.ephemeral && exists(facts.root_image)) {
        const std::string overlay = options.run_folder + "/root.qcow2";
        if (auto made = overlay_image(overlay, facts.root_image); !made) return made;
        facts.root_image = overlay;
        return {};
    }
    auto made = ensure_image(facts.root_image, m.disk_mib);
    if (!made) return std::unexpected(made.error());
    facts.root_image_new = *made;
    if (*made) {
        prepared.notes.push_back(std::format("created {}, {} MiB", facts.root_image, m.disk_mib));
        if (auto locked = lock_image(prepared, facts.root_image); !locked) return locked;
    }
    check_stamp(prepared, m, *made);
    return {};
}

// xchg is a fresh folder in the run folder, but $TMPDIR/xchg with TMPDIR and USE_TMPDIR, as the 2013 script had it.
Result<> prepare_folders(HostFacts &facts, const Machine &m, const PrepareOptions &options) {
    const char *temporary = std::getenv("TMPDIR");
    const char *use = std::getenv("USE_TMPDIR");
    const bool kept = temporary != nullptr && *temporary != '\0' && use != nullptr && *use != '\0';
    facts.xchg = (kept ? fs::absolute(temporary).string() : options.run_folder) + "/xchg";
    if (options.make)
        if (auto made = base::make_directories_at(AT_FDCWD, facts.xchg); !made) return made;
    facts.shared = m.shared_dir.empty() ? facts.xchg : fs::absolute(m.shared_dir).string();
    for (const auto &[what, path] : {std::pair{std::string("store"), m.store}, {"sharedDir", m.shared_dir}}) {
        std::error_code error;
        if (!path.empty() && !fs::is_directory(path, error))
            return fail(0, "share", path, std::format("{} is not a folder; name one that is there", what));
    }
    for (const auto &s : m.shared_directories) {
        std::error_code error;
        if (!fs::is_directory(s.source, error))
            return fail(0, "share", s.source, std::format("source of {} is not a folder", s.tag));
    }
    return {};
}

// Everything that the archive is made from is in its name.
Result<std::string> made_initrd_path(const Boot &boot) {
    std::string key = file_identity(boot.stage1) + "\n" + boot.release + "\n" + (boot.keep_signatures ? "signed" : "");
    if (!boot.modules.empty()) {
        auto folder = modules_folder(boot.modules, boot.release);
        if (!folder) return std::unexpected(folder.error());
        key += file_identity(*folder + "/modules.dep");
    }
    for (const auto &name : boot.names) key += "\n" + name;
    for (const auto &name : boot.load) key += "\nload " + name;
    return cache_path("made-initrd-" + short_hash(key));
}

Result<> prepare_boot(Prepared &prepared, const Machine &m, const PrepareOptions &options) {
    HostFacts &facts = prepared.facts;
    auto boot = boot_of(m);
    if (!boot) return std::unexpected(boot.error());
    if (boot->kernel.empty())
        return fail(0, "find kernel", m.toplevel, "give --toplevel a NixOS system (it has a file 'kernel'), or --kernel FILE");
    if (boot->init.empty() && m.initrd.empty())
        return fail(0, "find init", "", "nothing says what the guest runs: give --toplevel, or --init PATH");
    // Only in the run that made the image: QEMU ends with the guest's first reboot, so nothing was written before.
    if (facts.root_image_new && !m.allow_reboot)
        boot->command_line += std::format(" {}={}", protocol::fresh_disk_parameter, protocol::root_disk_serial);
    auto parts = command_line_parts(boot->command_line);
    if (!parts) return std::unexpected(parts.error());
    facts.command_line = parts->line;
    const Accelerator accelerator = choose_accelerator(m.accelerator, facts.qemu, boot->kernel);
    facts.kvm = accelerator.kvm;
    if (!accelerator.kvm && m.accelerator == "auto")
        prepared.notes.push_back("emulation (TCG), much slower than KVM: " + accelerator.reason);
    facts.kernel = boot->kernel;
    if (!facts.kvm)
        facts.kernel = uncompressed(boot->kernel).value_or(boot->kernel);  // a kernel without that way in boots as it is
    facts.initrd = boot->initrd;
    if (!boot->initrd.empty() && parts->parameters.empty()) return {};
    if (boot->initrd.empty() && parts->parameters.empty()) {
        if (auto path = made_initrd_path(*boot); path && exists(*path)) {
            facts.initrd = *path;
            return {};
        }
    }
    Initrd initrd;
    if (boot->initrd.empty()) {
        auto made = initrd_of(*boot);
        if (!made) return std::unexpected(made.error());
        initrd = std::move(*made);
    } else {
        auto bytes = base::read_file(boot->initrd);
        if (!bytes) return std::unexpected(bytes.error());
        initrd.bytes = std::move(*bytes);
    }
    facts.initrd = initrd.path;
    if (!initrd.path.empty() && parts->parameters.empty()) return {};
    if (!parts->parameters.empty()) {
        initrd.bytes.resize((initrd.bytes.size() + 3) / 4 * 4, '\0');
        initrd.bytes += parameters_archive(parts->parameters);
    }
    facts.initrd = cache_path("initrd-" + short_hash(initrd.bytes));
    if (facts.initrd.empty()) facts.initrd = options.run_folder + "/initrd";
    if (exists(facts.initrd)) return {};
    return base::replace_file(facts.initrd, initrd.bytes);
}

}  // namespace

std::string in_store(const std::string &store, std::string path) {
    const std::string prefix = std::string(protocol::store_dir) + "/";
    for (int depth = 0; depth < 16; ++depth) {
        if (path.starts_with(prefix)) path = store + "/" + path.substr(prefix.size());
        std::error_code error;
        const fs::path target = fs::read_symlink(path, error);
        if (error) break;
        path = target.is_absolute() ? target.string() : (fs::path(path).parent_path() / target).lexically_normal().string();
    }
    return path;
}

Result<Boot> boot_of(const Machine &m) {
    Boot boot;
    const std::string toplevel = m.toplevel.empty() ? "" : in_store(m.store, m.toplevel);
    if (!toplevel.empty() && !exists(toplevel))
        return fail(ENOENT, "open toplevel", toplevel, "name a system with --toplevel, and its store with --store");
    const auto of_system = [&](const char *name) {
        const std::string path = toplevel.empty() ? "" : in_store(m.store, toplevel + "/" + name);
        return exists(path) ? path : std::string();
    };
    boot.kernel = m.kernel.empty() ? of_system("kernel") : m.kernel;
    if (!boot.kernel.empty() && !exists(boot.kernel)) return fail(errno, "open kernel", boot.kernel);
    boot.modules = m.modules.empty() ? of_system("kernel-modules") : m.modules;
    boot.init = !m.init.empty() || m.toplevel.empty() ? m.init : m.toplevel + "/init";
    const std::string params = of_system("kernel-params");
    boot.command_line = kernel_command_line(m, params.empty() ? "" : base::read_file(params).value_or(""), boot.init);
    boot.initrd = m.initrd;
    if (auto fd = base::open_at(AT_FDCWD, boot.kernel, O_RDONLY)) {
        std::string head(65536, '\0');
        head.resize(static_cast<size_t>(std::max<ssize_t>(0, ::pread(fd->get(), head.data(), head.size(), 0))));
        boot.release = kernel_release(head);
    }
    boot.stage1 = m.stage1;
    if (boot.stage1.empty()) boot.stage1 = fs::read_symlink("/proc/self/exe").parent_path() / "stage1";
    boot.names = modules_for(m.disk_interface);
    boot.names.insert(boot.names.end(), m.extra_modules.begin(), m.extra_modules.end());
    boot.load = m.extra_modules;
    const fs::path folder = fs::path(boot.kernel).parent_path();
    for (const std::string &config : {(folder / "config").string(), (folder / ("config-" + boot.release)).string()})
        if (auto text = base::read_file(config)) boot.keep_signatures = signatures_enforced(*text, "");
    boot.keep_signatures = boot.keep_signatures || signatures_enforced("", boot.command_line);
    return boot;
}

Result<Initrd> initrd_of(const Boot &boot) {
    auto path = made_initrd_path(boot);
    if (!path) return std::unexpected(path.error());
    if (auto known = cached(*path)) return Initrd{std::move(*known), std::move(*path)};
    auto bytes = build_initrd({boot.stage1, boot.modules, boot.release, boot.names, boot.load, boot.keep_signatures});
    if (!bytes) return std::unexpected(bytes.error());
    remember(*path, *bytes);
    return Initrd{std::move(*bytes), exists(*path) ? *path : ""};
}

Result<Prepared> prepare(const Machine &m, const PrepareOptions &options) {
    Prepared prepared;
    HostFacts &facts = prepared.facts;
    auto qemu = find_program(m.qemu);
    if (!qemu) return std::unexpected(qemu.error());
    facts.qemu = *qemu;
    auto abilities = abilities_of(*qemu);
    if (!abilities) return std::unexpected(abilities.error());
    if (abilities->major < oldest_qemu)
        return fail(0, "use QEMU", *qemu,
                    std::format("version {} is too old; {} or newer is needed", abilities->major, oldest_qemu));
    facts.qemu_major = abilities->major;
    facts.sandbox = abilities->sandbox;
    facts.root = ::geteuid() == 0;
    facts.run_folder = options.run_folder;
    facts.terminal = options.terminal;
    facts.monitor = options.monitor;
    if (options.make)
        if (auto free = check_ports(m.forward_ports); !free) return std::unexpected(free.error());
    if (auto done = prepare_folders(facts, m, options); !done) return std::unexpected(done.error());
    if (m.use_boot_loader && m.boot_disk.empty())
        return fail(0, "find boot disk", "", "useBootLoader needs bootDisk, the image that boots");
    if (auto done = prepare_root_disk(prepared, m, options); !done) return std::unexpected(done.error());
    if (!m.use_boot_loader)
        if (auto done = prepare_boot(prepared, m, options); !done) return std::unexpected(done.error());
    for (size_t i = 0; i < m.empty_disks_mib.size(); ++i) {
        facts.empty_images.push_back(std::format("{}/empty{}.qcow2", options.run_folder, i));
        if (!options.make) continue;
        if (auto made = ensure_image(facts.empty_images.back(), m.empty_disks_mib[i]); !made)
            return std::unexpected(made.error());
    }
    return prepared;
}

}  // namespace hostside

#include "mounts/boot/plan.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <format>

#include "mounts/boot/source.h"
#include "mounts/path_trace.h"
#include "mounts/protocol.h"

namespace mounts {

namespace {

void add(std::vector<NeededModule> &modules, std::string name, std::string by) {
    if (std::ranges::find(modules, name, &NeededModule::name) == modules.end())
        modules.push_back({std::move(name), std::move(by)});
}

// The upper gets its own tmpfs: half of the memory, the kernel's default, and enough inodes to unpack a source tree. When it is
// full, the guest gets ENOSPC instead of running out of memory.
std::string upper_tmpfs_options(uint64_t memory_bytes) {
    return memory_bytes == 0 ? "mode=755" : std::format("mode=755,size={}k,nr_inodes=1m", memory_bytes / 2 / 1024);
}

void plan_store_union(const FileSystem &store, const PlanInput &input, std::vector<Step> &steps) {
    const std::string &root = input.target_root;
    const std::string lower = root + std::string(protocol::store_lower_dir);
    const std::string upper = root + std::string(protocol::store_upper_dir);
    const auto make = [&](const std::string &path) { steps.push_back(MakeDirectory{.path = path, .root = root}); };
    make(lower);
    steps.push_back(Mount{store.source, lower, store.type, store.options, store.optional, root});
    make(upper);
    if (store.store_union == UnionMode::tmpfs)
        steps.push_back(Mount{"tmpfs", upper, "tmpfs", upper_tmpfs_options(input.memory_bytes), false, root});
    make(upper + "/upper");
    make(upper + "/work");
    make(root + store.target);
    const BootParameters &parameters = input.parameters;
    std::string trace;
    if (parameters.union_trace) trace = std::format("{}{}/{}", root, protocol::xchg_dir, protocol::paths_file);
    steps.push_back(MountUnion{lower, upper + "/upper", upper + "/work", root + store.target, parameters.union_engine,
                               parameters.union_options, root, parameters.reginfo, std::move(trace)});
}

bool goes_along(std::string_view target) {
    const std::string_view top = target.substr(0, target.find('/', 1));
    return top == "/proc" || top == "/sys" || top == "/dev" || top == "/run";
}

// A name that is stored in the file system and not in the device itself. An empty disk cannot have one.
bool names_content(std::string_view source) {
    std::string lower(source);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return std::ranges::any_of(
        std::initializer_list<std::string_view>{"label=", "uuid=", "/dev/disk/by-label/", "/dev/disk/by-uuid/"},
        [&](std::string_view name) { return lower.starts_with(name); });
}

bool is_share(const Step &step) {
    const auto *mount = std::get_if<Mount>(&step);
    return mount != nullptr && mount->type == "9p";
}

// QEMU saves no machine in which a 9p directory is mounted. A store stays where it is: with it, `ready` is not to be had.
void leave_for_later(Phase &mounts_phase, SwitchRoot &last) {
    const std::string &root = last.target_root;
    const auto store = [&](const Mount &m) {
        return m.target == root + std::string(protocol::store_dir) || m.target == root + std::string(protocol::store_lower_dir);
    };
    std::erase_if(mounts_phase.steps, [&](const Step &step) {
        if (!is_share(step) || store(std::get<Mount>(step))) return false;
        Mount mount = std::get<Mount>(step);
        if (!mount.root.empty()) mount.target.erase(0, root.size());  // by then it is the root
        mount.root.clear();
        last.late.push_back(std::move(mount));
        return true;
    });
}

bool lies_at_or_below(std::string_view path, std::string_view directory) {
    return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

// Whether the later phases are the same without these mounts: the mounts hide nothing that those phases make, and the
// registration is in none of them.
bool are_apart(const std::vector<Step> &mounts, const PlanInput &input) {
    constexpr std::array<std::string_view, 8> made_later{"/etc", "/proc", "/sys", "/dev", "/run", "/tmp", "/boot", "/nix/var"};
    if (!input.parameters.reginfo.empty()) return false;
    return std::ranges::none_of(mounts, [&](const Step &step) {
        const auto *mount = std::get_if<Mount>(&step);
        if (mount == nullptr) return false;
        const std::string target = input.target_root + "/";
        const std::string_view in_root =
            mount->target.starts_with(target) ? std::string_view(mount->target).substr(target.size() - 1) : "/";
        return lies_at_or_below(in_root, "/nix/var") ||
               std::ranges::any_of(made_later, [&](auto made) { return in_root == "/" || lies_at_or_below(made, in_root); });
    });
}

// Before the first share, or as late as can be. What needs no share is done before, because each fork would do it again.
void add_fork_point(std::vector<Phase> &phases, const PlanInput &input) {
    auto &mounts = std::ranges::find(phases, protocol::BootPhase::mounts, &Phase::phase)->steps;
    const auto first = std::ranges::find_if(mounts, is_share);
    if (first == mounts.end()) {
        phases.back().steps.insert(phases.back().steps.begin(), WaitForFork{});
        return;
    }
    Phase late{protocol::BootPhase::mounts, {WaitForFork{}}};
    late.steps.insert(late.steps.end(), first, mounts.end());
    if (!are_apart(late.steps, input)) {
        mounts.insert(first, WaitForFork{});
        return;
    }
    mounts.erase(first, mounts.end());
    for (auto &phase : phases)
        for (auto step = phase.steps.begin(); step != phase.steps.end();)
            if (std::holds_alternative<CheckInit>(*step)) {
                late.steps.push_back(std::move(*step));
                step = phase.steps.erase(step);
            } else {
                ++step;
            }
    phases.insert(phases.end() - 1, std::move(late));
}

// A fork sees paths of the host's store that the saved machine's database does not know.
void add_new_paths(std::vector<Phase> &phases, const PlanInput &input) {
    const bool has_xchg = std::ranges::any_of(
        input.file_systems, [](const FileSystem &fs) { return fs.target == protocol::xchg_dir && fs.type == "9p"; });
    if (!has_xchg || input.parameters.agent == AgentMode::only || input.parameters.registration == RegisterMode::off) return;
    phases.insert(
        phases.end() - 1,
        Phase{protocol::BootPhase::registration,
              {RegisterNewPaths{input.target_root, std::format("{}/{}", protocol::xchg_dir, protocol::new_paths_file)}}});
}

}  // namespace

Phase plan_modules(const PlanInput &input) {
    LoadModules load;
    for (const std::string &name : input.modules) load.modules.push_back({name, "the initrd's list of modules"});
    for (const FileSystem &fs : input.file_systems) {
        if (fs.type == "9p") add(load.modules, "9pnet_virtio", fs.target);
        if (fs.type != "auto" && fs.type != "tmpfs" && fs.type != "none") add(load.modules, "fs-" + fs.type, fs.target);
        // These file systems request their checksum by this name when they are mounted, and the initrd has no modprobe for the
        // kernel.
        if (fs.type == "ext4" || fs.type == "erofs") add(load.modules, "crc32c", fs.target);
        if (fs.store_union == UnionMode::off) continue;
        const bool fuse = input.parameters.union_engine == UnionEngine::fuse;
        add(load.modules, fuse ? "fs-fuse" : "fs-overlay", "the union at " + fs.target);
    }
    return {protocol::BootPhase::modules, {std::move(load)}};
}

Phase plan_devices(const PlanInput &input) {
    Phase phase{protocol::BootPhase::devices, {}};
    for (const FileSystem &fs : input.file_systems) {
        const auto devices = device_sources(fs.source, fs.type, fs.options);
        const std::string fresh = input.parameters.fresh_disk.empty() ? "" : "serial=" + input.parameters.fresh_disk;
        if (fs.mkfs && !fresh.empty() && names_content(fs.source)) {
            phase.steps.push_back(WaitForDevice{fresh, input.parameters.device_timeout_s});
            phase.steps.push_back(PrepareDisk{fresh, true, fs.source});
        }
        // Do not wait for an optional device here.
        for (const std::string &device : devices)
            if (!fs.optional) phase.steps.push_back(WaitForDevice{device, input.parameters.device_timeout_s});
        if (fs.mkfs) phase.steps.push_back(PrepareDisk{.spec = fs.source, .vouched = fs.source == fresh});
        // A file system on several devices has its own checks.
        if (fs.check_pass > 0 && devices.size() == 1) phase.steps.push_back(CheckFileSystem{fs.source, fs.type});
    }
    return phase;
}

Phase plan_mounts(const PlanInput &input) {
    Phase phase{protocol::BootPhase::mounts, {}};
    for (const std::string &text : input.passed_over) phase.steps.push_back(PassOver{text});
    std::vector<Step> last;  // a union that writes to xchg must come after xchg
    for (const FileSystem &fs : input.file_systems) {
        const bool is_root = fs.target == "/";
        if (is_root && input.root_mounted) continue;
        if (fs.store_union != UnionMode::off) {
            plan_store_union(fs, input, input.parameters.union_trace ? last : phase.steps);
            continue;
        }
        // The root's own mount point is in the initrd, and so are those on /proc, /sys, /dev and /run if these move along.
        const std::string root = is_root || (input.run_goes_along && goes_along(fs.target)) ? "" : input.target_root;
        const std::string target = is_root ? input.target_root : root + fs.target;
        const bool bind = is_bind(fs.options);
        const std::string source = bind ? input.target_root + plain_path(fs.source) : fs.source;
        // Create a missing source of a bind mount, as systemd does, and the upper and work directories of an overlay.
        if (bind)
            phase.steps.push_back(MakeBindPlaces{source, target, root});
        else
            phase.steps.push_back(MakeDirectory{.path = target, .root = root});
        if (fs.type == "overlay")
            for (const char *name : {"upperdir", "workdir"})
                if (const std::string place = option_value(fs.options, name); !place.empty())
                    phase.steps.push_back(MakeDirectory{.path = input.target_root + plain_path(place), .root = root});
        phase.steps.push_back(Mount{source, target, fs.type, fs.options, fs.optional, root});
        if (fs.autoresize) phase.steps.push_back(GrowFileSystem{target, root});
        // Before xchg and shared are mounted in /tmp.
        if (is_root) phase.steps.push_back(MakeDirectory{target + "/tmp", 01777, true, input.target_root});
    }
    phase.steps.insert(phase.steps.end(), last.begin(), last.end());
    const auto hidden =
        std::ranges::find_if(input.file_systems, [](const FileSystem &fs) { return fs.target.starts_with("/tmp/"); });
    if (hidden != input.file_systems.end()) phase.steps.push_back(KeepVisible{hidden->target});
    return phase;
}

Phase plan_system(const PlanInput &input) {
    const std::string &root = input.target_root;
    Phase phase{protocol::BootPhase::system, {}};
    // NixOS's tools refuse a root without this mark. Stage 2 creates everything else but needs mount points.
    for (const char *directory : {"/etc", "/proc", "/sys", "/dev", "/run"})
        phase.steps.push_back(MakeDirectory{.path = root + directory, .root = root});
    phase.steps.push_back(MarkFile{root + "/etc/NIXOS", root});
    phase.steps.push_back(MakeDirectory{root + "/tmp", 01777, true, root});
    phase.steps.push_back(MakeDirectory{.path = root + "/boot", .root = root});
    return phase;
}

base::Result<std::vector<Phase>> plan_boot(const PlanInput &input) {
    const AgentMode agent = input.parameters.agent;
    if (input.parameters.init.empty() && agent != AgentMode::only)
        return base::fail(0, "kernel parameter", "init=",
                          "not given; it names the program of stage 2 in the target root, such as "
                          "init=/nix/store/…-nixos-system-…/init");
    std::vector<Phase> phases{plan_modules(input), plan_devices(input), plan_mounts(input), plan_system(input)};
    if (agent != AgentMode::only) phases.back().steps.push_back(CheckInit{input.target_root, input.parameters.init});
    if (agent != AgentMode::only && input.parameters.registration != RegisterMode::off)
        phases.push_back({protocol::BootPhase::registration,
                          {RegisterClosure{input.target_root, input.parameters.reginfo,
                                           input.parameters.init.substr(0, input.parameters.init.rfind('/')),
                                           input.parameters.registration}}});
    SwitchRoot last{input.target_root, input.parameters.init, agent};
    const auto mounts_phase = std::ranges::find(phases, protocol::BootPhase::mounts, &Phase::phase);
    if (input.parameters.snapshot == SnapshotPoint::ready) leave_for_later(*mounts_phase, last);
    phases.push_back({protocol::BootPhase::switch_root, {std::move(last)}});
    if (input.parameters.snapshot == SnapshotPoint::before_stage_2) {
        add_fork_point(phases, input);
        add_new_paths(phases, input);
    }
    return phases;
}

}  // namespace mounts

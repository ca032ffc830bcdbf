#include "hostside/launch/prepare.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "hostside/boot/debug_shell.h"
#include "hostside/launch/apply.h"
#include "hostside/launch/boot_facts.h"
#include "hostside/launch/facts.h"
#include "hostside/launch/plan.h"
#include "hostside/launch/shell_lines.h"
#include "hostside/store/store.h"

namespace hostside {

namespace fs = std::filesystem;

namespace {

// Resolves links to the root disk's image, even if it does not exist, because the image is made, moved aside and stamped there.
// In a directory that is writable by everybody, follows links as the kernel does: only our own or those of the directory's
// owner (proc_sys_fs(5), protected_symlinks).
std::string image_behind_links(std::string path) {
    constexpr int most = 40;
    for (int i = 0; i < most; ++i) {
        struct stat st{}, around{};
        const fs::path parent = fs::path(path).parent_path();
        if (::lstat(path.c_str(), &st) < 0 || !S_ISLNK(st.st_mode) || ::stat(parent.c_str(), &around) < 0) break;
        const bool anybodys = (around.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH);
        if (anybodys && st.st_uid != ::geteuid() && st.st_uid != around.st_uid) break;
        std::error_code error;
        const fs::path target = fs::read_symlink(path, error);
        if (error) break;
        path = (parent / target).lexically_normal();
    }
    return path;
}

}  // namespace

void make_paths_absolute(Machine &m) {
    const auto absolute = [](std::string &path) {
        if (!path.empty()) path = fs::absolute(path).lexically_normal();
    };
    for (auto *path : {&m.store, &m.kernel, &m.modules, &m.initrd, &m.stage1, &m.boot_disk, &m.bios, &m.disk_image, &m.shared_dir,
                       &m.efi_firmware, &m.efi_variables, &m.efi_own_variables, &m.tpm_state})
        absolute(*path);
    if (!m.disk_image.empty()) m.disk_image = image_behind_links(m.disk_image);
    if (m.debug_shell != any_debug_shell) absolute(m.debug_shell);
    // NixOS names a package that contains the file.
    std::error_code error;
    if (!m.bios.empty() && fs::is_directory(m.bios, error)) m.bios += "/bios.bin";
    for (auto &drive : m.drives) absolute(drive.file);
    for (auto &file : m.backing_files) absolute(file);
    for (auto &credential : m.credentials) absolute(credential.source);
    for (auto &share : m.shared_directories) absolute(share.source);
}

namespace {

// The store kind comes first, because kernel parameters and modules depend on it.
base::Result<LaunchPlan> plan_with(const StorePlan &store, const Machine &m, const PrepareOptions &options) {
    auto facts = look_at_host(m, options);
    if (!facts) return std::unexpected(facts.error());
    facts->host.store_image = store.image;
    facts->host.store_socket = store.socket;
    facts->notes.insert(facts->notes.end(), store.notes.begin(), store.notes.end());
    auto plan = plan_launch(m, std::move(*facts));
    if (plan && options.check)
        if (auto good = options.check(m, plan->host); !good) return std::unexpected(good.error());
    return plan;
}

}  // namespace

base::Result<Prepared> prepare(const Machine &described, const PrepareOptions &options) {
    auto store = plan_store(described, options.run_directory);
    if (!store) return std::unexpected(store.error());
    Machine m = described;
    m.store_kind = store->kind;
    auto plan = plan_with(*store, m, options);
    if (!plan) return std::unexpected(plan.error());
    // Comes before permanent effects such as disks, so that a store that can't be provided leaves at most cache entries.
    auto provided = provide_store(*store, m, options.run_directory, options.progress);
    if (!provided) return std::unexpected(provided.error());
    auto held = apply(*plan);
    if (!held && held.error().code == ESTALE) {
        plan = plan_with(*store, m, options);
        held = plan.and_then(apply);
    }
    if (!held) return std::unexpected(held.error());
    plan->host.store_directory = provided->directory;
    plan->notes.insert(plan->notes.end(), provided->notes.begin(), provided->notes.end());
    CompanionProcess tpm;
    if (m.tpm) {
        auto started = start_swtpm(m, plan->host.tpm_socket);
        if (!started) return std::unexpected(started.error());
        tpm = std::move(*started);
    }
    return Prepared{std::move(plan->host),  std::move(plan->notes),  std::move(held->locks), std::move(held->devices),
                    std::move(held->vlans), std::move(held->relays), std::move(tpm),         std::move(*provided)};
}

base::Result<std::string> complete_initrd(const Machine &m) {
    LaunchFacts facts;
    if (auto seen = look_at_initrd(facts, m, {.run_directory = ""}); !seen) return std::unexpected(seen.error());
    return plan_initrd(facts, "").and_then(content);
}

base::Result<std::string> printed_launch(const Machine &described, const PrepareOptions &options,
                                         const std::vector<std::string> &initrd_command) {
    auto store = plan_store(described, options.run_directory);
    if (!store) return std::unexpected(store.error());
    if (!store->socket.empty())
        return base::fail(0, "print", "", "runvm itself starts and watches virtiofsd; print with --store-kind 9p");
    if (described.tpm) return base::fail(0, "print", "", "runvm itself starts and watches swtpm; print without --tpm");
    Machine m = described;
    m.store_kind = store->kind;
    auto plan = plan_with(*store, m, options);
    if (!plan) return std::unexpected(plan.error());
    return shell_lines(*plan, m, initrd_command);
}

}  // namespace hostside

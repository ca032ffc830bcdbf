#include "hostside/launch/prepare.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <format>
#include <utility>

#include "hostside/base/exists.h"
#include "hostside/base/shell_words.h"
#include "hostside/boot/debug_shell.h"
#include "hostside/host/guest_files.h"
#include "hostside/launch/apply.h"
#include "hostside/launch/boot_disk.h"
#include "hostside/launch/boot_facts.h"
#include "hostside/launch/facts.h"
#include "hostside/launch/plan.h"
#include "hostside/launch/shell_lines.h"
#include "hostside/store/second_start.h"
#include "hostside/store/store.h"
#include "mounts/base/at.h"
#include "mounts/protocol.h"

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

base::Result<LaunchPlan> plan_with(const StorePlan &store, const Machine &m, const PrepareOptions &options) {
    auto facts = look_at_host(m, options);
    if (!facts) return std::unexpected(facts.error());
    facts->host.store_image = store.image;
    facts->host.store_socket = store.socket;
    for (auto &one : served_directories(m, facts->host.xchg, facts->host.shared, options.run_directory))
        facts->host.share_sockets.emplace(std::move(one.tag), std::move(one.socket));
    facts->notes.insert(facts->notes.end(), store.notes.begin(), store.notes.end());
    auto plan = plan_launch(m, std::move(*facts));
    if (plan && options.check)
        if (auto good = options.check(m, plan->host); !good) return std::unexpected(good.error());
    return plan;
}

// Why this run can have no directories over virtiofs.
std::string share_hindrance(const Machine &m, const PrepareOptions &options) {
    if (options.pasted) return "runvm itself starts and watches virtiofsd, and the printed command does not";
    if (!options.memory_file.empty() || options.restored)
        return "virtiofsd would write into the memory that a snapshot's forks share";
    if (!m.run_as.empty()) return "virtiofsd would serve the guest as root, which runAs must prevent";
    return "";
}

struct Decided {
    Machine machine;
    LaunchPlan plan;
};

// The kinds of the store and of the shares come first, because kernel parameters and modules depend on them.
base::Result<Decided> decide(const StorePlan &store, const Machine &described, const PrepareOptions &options) {
    Machine m = described;
    m.store_kind = store.kind;
    auto notes = decide_shares(m, share_hindrance(m, options));
    if (!notes) return std::unexpected(notes.error());
    auto plan = plan_with(store, m, options);
    // With `auto`, a guest's kernel without virtiofs is a reason for 9p too.
    if (!plan && m.store_kind != "virtiofs" && !served_directories(m, "", "", "").empty()) {
        Machine fallen_back = described;
        fallen_back.store_kind = store.kind;
        auto more = decide_shares(fallen_back, base::message(plan.error()));
        auto other = more ? plan_with(store, fallen_back, options) : std::unexpected(more.error());
        if (!other) return std::unexpected(plan.error());
        m = std::move(fallen_back);
        notes = std::move(more);
        plan = std::move(other);
    }
    if (!plan) return std::unexpected(plan.error());
    plan->notes.insert(plan->notes.end(), notes->begin(), notes->end());
    return Decided{std::move(m), std::move(*plan)};
}

// A decision whose store is there.
struct Supplied {
    StorePlan store;
    Decided decision;
    ProvidedStore provided;
};

base::Result<Supplied> supply(StorePlan store, const Machine &described, const PrepareOptions &options) {
    auto decision = decide(store, described, options);
    if (!decision) return std::unexpected(decision.error());
    // Comes before permanent effects such as disks, so that a store that can't be provided leaves at most cache entries.
    auto provided = provide_store(store, decision->machine, options.run_directory, options.progress);
    if (!provided) return std::unexpected(provided.error());
    return Supplied{std::move(store), std::move(*decision), std::move(*provided)};
}

// With `auto`, an image that can't be made or mounted is a reason for 9p. If 9p fails too, the image was not the reason. `whole`:
// with the paths that a restored machine does not know yet.
base::Result<Supplied> supply_possible(const Machine &whole, const Machine &described, const PrepareOptions &options) {
    auto store = plan_store(whole, options.run_directory);
    if (!store) return std::unexpected(store.error());
    auto supplied = supply(*store, described, options);
    if (supplied || !store->optional_image) return supplied;
    auto other = supply(without_image(*store), described, options);
    if (!other) return supplied;
    if (supplied.error().code == EBUSY) return other;
    note_image_failed(store->start_note);
    other->decision.plan.notes.push_back("the store comes over 9p, not as an image: " + base::message(supplied.error()));
    return other;
}

// An xchg of the user's may have a file of an earlier run, or whatever a guest left under that name.
base::Result<> tell_new_paths(const Machine &m, const std::vector<std::string> &paths, const std::string &xchg) {
    const std::string file = xchg + "/" + std::string(mounts::protocol::new_paths_file);
    if (::unlink(file.c_str()) < 0 && errno != ENOENT) {
        if (errno != EISDIR) return base::fail(errno, "remove", file);
        if (auto removed = remove_guest_directory(file); !removed) return removed;
    }
    if (paths.empty()) return {};
    return registration_of(m, paths).and_then([&](const std::string &text) { return base::replace_file(file, text); });
}

// As it was when it was saved.
Machine without(const std::vector<std::string> &new_paths, Machine m) {
    std::erase_if(m.paths_in_nix_db, [&](const std::string &path) { return std::ranges::contains(new_paths, path); });
    return m;
}

}  // namespace

base::Result<Prepared> prepare(const Machine &whole, const PrepareOptions &options) {
    const Machine described = without(options.new_paths, whole);
    auto supplied = supply_possible(whole, described, options);
    if (!supplied) return std::unexpected(supplied.error());
    auto &[store, decision, provided] = *supplied;
    auto held = apply(decision.plan);
    if (!held && held.error().code == ESTALE) {
        auto again = decide(store, described, options);
        if (!again) return std::unexpected(again.error());
        decision = std::move(*again);
        held = apply(decision.plan);
    }
    if (!held) return std::unexpected(held.error());
    const Machine &m = decision.machine;
    LaunchPlan *const plan = &decision.plan;
    if (options.restored)
        if (auto told = tell_new_paths(m, options.new_paths, plan->host.xchg); !told) return std::unexpected(told.error());
    plan->host.store_directory = provided.directory;
    plan->notes.insert(plan->notes.end(), provided.notes.begin(), provided.notes.end());
    CompanionProcess tpm;
    if (m.tpm) {
        auto started = start_swtpm(m, plan->host.tpm_socket);
        if (!started) return std::unexpected(started.error());
        tpm = std::move(*started);
    }
    auto servers = serve(served_directories(m, plan->host.xchg, plan->host.shared, options.run_directory));
    if (!servers) return std::unexpected(servers.error());
    return Prepared{std::move(plan->host),    std::move(plan->notes), std::move(held->locks),
                    std::move(held->devices), std::move(held->vlans), std::move(held->relays),
                    std::move(tpm),           std::move(*servers),    std::move(provided)};
}

base::Result<> check_launch(const Machine &described, const PrepareOptions &options) {
    auto store = plan_store(described, options.run_directory, false);
    if (!store) return std::unexpected(store.error());
    return decide(*store, described, options).transform([](const Decided &) {});
}

base::Result<std::string> complete_initrd(const Machine &m) {
    LaunchFacts facts;
    if (auto seen = look_at_initrd(facts, m, {.run_directory = ""}); !seen) return std::unexpected(seen.error());
    return plan_initrd(facts, "").and_then(content);
}

namespace {

// The line that makes the boot disk, or makes it again, as `run` would. Empty: there is nothing to do.
base::Result<std::string> boot_disk_line(const Machine &m, const std::vector<std::string> &command) {
    if (!m.use_boot_loader || m.toplevel.empty()) return std::string();
    const std::string line = quote_words(command) + "\n";
    if (!exists(m.boot_disk)) return std::format("test -e {} || {}", quote_word(m.boot_disk), line);
    if (!is_made_boot_disk(m.boot_disk)) return std::string();
    const auto recipe = boot_disk_recipe(m, "");
    if (!recipe) return std::unexpected(recipe.error());
    return is_made_of(m.boot_disk, *recipe) ? std::string() : line;
}

}  // namespace

base::Result<std::string> printed_launch(const Machine &described, const PrepareOptions &options,
                                         const PreparingCommands &commands) {
    auto store = plan_store(described, options.run_directory, false);
    if (!store) return std::unexpected(store.error());
    if (!store->socket.empty())
        return base::fail(0, "print", "", "runvm itself starts and watches virtiofsd; print with --store-kind 9p");
    auto decision = decide(*store, described, options);
    if (!decision) return std::unexpected(decision.error());
    auto disk = boot_disk_line(described, commands.boot_disk);
    if (!disk) return disk;
    return shell_lines(decision->plan, decision->machine, commands.initrd).transform([&](const std::string &lines) {
        return *disk + lines;
    });
}

}  // namespace hostside

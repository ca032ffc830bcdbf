#include "hostside/store/store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <format>
#include <set>

#include "hostside/store/image.h"
#include "hostside/store/second_start.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

ImageSpec image_spec(const StorePlan &plan, const Machine &m, const std::string &run_directory) {
    return {m.store, *plan.contents, m.store_compression, run_directory};
}

// Where processes in the view's namespace see it.
Result<std::string> view_place(const std::string &run_directory) {
    std::string place = run_directory + "/view";
    if (::mkdir(place.c_str(), 0700) < 0 && errno != EEXIST) return fail(errno, "make a view of the store", place);
    return place;
}

Result<> provide_view(ProvidedStore &provided, const StorePlan &plan, const Machine &m, const std::string &run_directory) {
    auto place = view_place(run_directory);
    if (!place) return std::unexpected(place.error());
    auto view = open_view({m.store, plan.contents->names, *place});
    if (!view && plan.demanded) return std::unexpected(view.error());
    if (!view) {
        provided.notes.push_back("the guest sees all of the store: " + base::message(view.error()));
        return {};
    }
    provided.view = std::move(*view);
    provided.directory = std::format("/proc/self/fd/{}", provided.view.directory.get());
    return {};
}

Result<> provide_daemon(ProvidedStore &provided, const StorePlan &plan, const Machine &m, const std::string &run_directory) {
    if (plan.closure_alone) {
        if (auto enough = check_descriptors(m.store, plan.contents->names); !enough) return enough;
        auto place = view_place(run_directory);
        if (!place) return std::unexpected(place.error());
        auto daemon = start_virtiofsd(ViewSpec{m.store, plan.contents->names, *place}, plan.socket);
        if (daemon) {
            provided.daemon = std::move(*daemon);
            return {};
        }
        if (plan.demanded) return std::unexpected(daemon.error());
        provided.notes.push_back("the guest sees all of the store: " + base::message(daemon.error()));
        (void)::unlink(plan.socket.c_str());
    }
    if (auto enough = check_descriptors(m.store, {"."}); !enough) return enough;
    auto daemon = start_virtiofsd(m.store, plan.socket);
    if (!daemon) return std::unexpected(daemon.error());
    provided.daemon = std::move(*daemon);
    return {};
}

// An image is the fastest, but only a system that boots with its own files is known to mount it.
bool may_take_image(const Machine &m) {
    return m.store_kind == "auto" && m.store_view != "all" && m.kernel.empty() && m.modules.empty() && m.initrd.empty() &&
           !m.use_boot_loader;
}

// The path in `store` that contains a machine's file; empty: none.
std::string path_in_store(const std::string &store, const std::string &file) {
    std::error_code error;
    const std::string directory = fs::canonical(store, error).string() + "/";
    const std::string real = file.empty() || error ? "" : fs::canonical(file, error).string();
    if (error || !real.starts_with(directory)) return "";
    return "/nix/store/" + real.substr(directory.size(), real.find('/', directory.size()) - directory.size());
}

// Other files that QEMU or the guest reads: images and their backing files.
std::set<std::string> paths_of_files(const Machine &m, const std::string &store) {
    std::set<std::string> paths;
    const auto add = [&](const std::string &file) {
        if (auto path = path_in_store(store, file); !path.empty()) paths.insert(std::move(path));
    };
    for (const auto *file : {&m.disk_image, &m.boot_disk, &m.kernel, &m.initrd, &m.bios, &m.efi_firmware, &m.efi_variables})
        add(*file);
    for (const auto &file : m.backing_files) add(file);
    for (const auto &drive : m.drives) add(drive.file);
    for (const auto &share : m.shared_directories) add(share.source);
    return paths;
}

void hold_roots(ProvidedStore &provided, const StorePlan &plan, const Machine &m, const std::string &run_directory) {
    const auto note = [&](const base::Error &error) {
        provided.notes.push_back("the host's garbage collector may delete store paths that the guest uses: " +
                                 base::message(error));
    };
    auto root = GcRoot::hold(m.store, plan.contents ? plan.contents->roots : std::vector<std::string>{}, run_directory);
    if (root)
        provided.gc_root = std::move(*root);
    else
        note(root.error());
    const std::string store = m.store.empty() ? "/nix/store" : m.store;
    for (const auto &path : paths_of_files(m, store))
        if (auto added = provided.gc_root.add(store, path, run_directory); !added) note(added.error());
}

void plan_image(StorePlan &plan, const Machine &m, const std::string &run_directory, bool starts) {
    const std::string path = image_path(image_spec(plan, m, run_directory));
    const bool optional = m.store_kind == "auto";
    if (optional && !is_image(path)) {
        if (starts) plan.start_note = start_note(*plan.contents);
        if (plan.start_note.empty() || !repays_image(image_facts(*plan.contents))) return;
    }
    plan.optional_image = optional;
    plan.kind = "erofs";
    plan.image = path;
}

Result<> provide_image(ProvidedStore &provided, const StorePlan &plan, const Machine &m, const std::string &run_directory,
                       const std::function<void(const std::string &)> &progress) {
    base::Fd claim;
    if (plan.optional_image && !is_image(plan.image))
        if (claim = claim_making(plan.start_note); !claim)
            return fail(EBUSY, "make the store's image", plan.image, "another machine's launcher is making it");
    if (auto made = make_image(image_spec(plan, m, run_directory), progress); !made) return made;
    if (plan.image.starts_with(run_directory)) return {};
    if (auto held = hold_for_image(m.store, plan.contents->roots, plan.image); !held)
        provided.notes.push_back("the host's garbage collector may delete the paths in the store's image: " +
                                 base::message(held.error()));
    return {};
}

}  // namespace

Result<StorePlan> plan_store(const Machine &m, const std::string &run_directory, bool starts) {
    StorePlan plan{.kind = m.store_kind == "auto" ? "9p" : m.store_kind, .demanded = m.store_view == "closure"};
    const bool image = plan.kind == "erofs";
    if (plan.kind == "virtiofs") {
        if (auto program = find_virtiofsd(); !program) return std::unexpected(program.error());
        plan.socket = run_directory + "/store-fs";
    }
    if (m.store.empty()) {
        if (plan.kind != "9p" || plan.demanded) return fail(0, "find the store", "", "there is no store; name one with --store");
        return plan;
    }
    if (image && m.store_view == "all")
        return fail(0, "make the store's image", m.store, "the image is made from a closure; storeView all needs storeKind 9p");
    auto contents = store_contents(m);
    if (!contents) {
        if (image || plan.demanded) return std::unexpected(contents.error());
        if (!m.toplevel.empty() && m.store_view != "all")
            plan.notes.push_back("the guest sees all of the store, because its closure is not known: " +
                                 base::message(contents.error()));
        return plan;
    }
    plan.contents = std::move(*contents);
    plan.closure_alone = m.store_view != "all";
    if (!image && !may_take_image(m)) return plan;
    plan_image(plan, m, run_directory, starts);
    if (image && !is_image(plan.image))
        if (auto mkfs = find_mkfs(); !mkfs) return std::unexpected(mkfs.error());
    return plan;
}

StorePlan without_image(StorePlan plan) {
    plan.kind = "9p";
    plan.image = "";
    plan.optional_image = false;
    return plan;
}

Result<ProvidedStore> provide_store(const StorePlan &plan, const Machine &m, const std::string &run_directory,
                                    const std::function<void(const std::string &)> &progress) {
    ProvidedStore provided{.image = plan.image};
    hold_roots(provided, plan, m, run_directory);
    if (plan.contents)
        if (auto there = check_still_there(m, *plan.contents); !there) return std::unexpected(there.error());
    Result<> done;
    if (plan.kind == "erofs")
        done = provide_image(provided, plan, m, run_directory, progress);
    else if (plan.kind == "virtiofs")
        done = provide_daemon(provided, plan, m, run_directory);
    else if (plan.closure_alone)
        done = provide_view(provided, plan, m, run_directory);
    if (!done) return std::unexpected(done.error());
    note_start(plan.start_note);
    return provided;
}

}  // namespace hostside

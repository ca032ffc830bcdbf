#include "hostside/store/store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <format>

#include "hostside/store/image.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

ImageSpec image_spec(const StorePlan &plan, const Machine &m, const std::string &run_directory) {
    return {m.store, *plan.contents, m.store_compression, run_directory};
}

// Where whoever is in the view's namespace sees it mounted.
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

// An image that was made before is the fastest; what boots is then the system's own, for which it was made.
bool may_take_image(const Machine &m) {
    return m.store_kind == "auto" && m.store_view != "all" && m.kernel.empty() && m.modules.empty() && m.initrd.empty() &&
           !m.use_boot_loader;
}

}  // namespace

Result<StorePlan> plan_store(const Machine &m, const std::string &run_directory) {
    StorePlan plan{.kind = m.store_kind == "auto" ? "9p" : m.store_kind, .demanded = m.store_view == "closure"};
    const bool image = plan.kind == "erofs";
    if (plan.kind == "virtiofs") {
        if (auto program = find_virtiofsd(); !program) return std::unexpected(program.error());
        plan.socket = run_directory + "/store-fs";
    }
    if (m.store.empty()) {
        if (plan.kind != "9p" || plan.demanded) return fail(0, "find the store", "", "there is none; name one with --store");
        return plan;
    }
    if (image && m.store_view == "all")
        return fail(0, "make the store's image", m.store, "it is made of a closure; storeView all is for storeKind 9p");
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
    const std::string path = image_path(image_spec(plan, m, run_directory));
    struct stat st{};
    const bool there = ::stat(path.c_str(), &st) == 0;
    if (image && !there)
        if (auto mkfs = find_mkfs(); !mkfs) return std::unexpected(mkfs.error());
    if (!image && !there) return plan;
    plan.kind = "erofs";
    plan.image = path;
    return plan;
}

Result<ProvidedStore> provide_store(const StorePlan &plan, const Machine &m, const std::string &run_directory,
                                    const std::function<void(const std::string &)> &progress) {
    ProvidedStore provided{.image = plan.image};
    if (plan.kind == "erofs") {
        auto made = make_image(image_spec(plan, m, run_directory), progress);
        return made ? Result<ProvidedStore>(std::move(provided)) : std::unexpected(made.error());
    }
    // An image is a copy, but what is shared must stay.
    auto root = GcRoot::hold(m.store, plan.contents ? plan.contents->roots : std::vector<std::string>{}, run_directory);
    if (root)
        provided.gc_root = std::move(*root);
    else
        provided.notes.push_back("the host's garbage collector may take the store from the guest: " +
                                 base::message(root.error()));
    Result<> done;
    if (plan.kind == "virtiofs")
        done = provide_daemon(provided, plan, m, run_directory);
    else if (plan.closure_alone)
        done = provide_view(provided, plan, m, run_directory);
    return done ? Result<ProvidedStore>(std::move(provided)) : std::unexpected(done.error());
}

}  // namespace hostside

#include "hostside/store/store.h"

#include <sys/stat.h>

#include <cerrno>
#include <format>

#include "hostside/store/image.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

ImageSpec image_spec(const StorePlan &plan, const Machine &m, const std::string &run_folder) {
    return {m.store, *plan.contents, m.store_compression, run_folder};
}

}  // namespace

Result<StorePlan> plan_store(const Machine &m, const std::string &run_folder) {
    StorePlan plan{.kind = m.store_kind == "auto" ? "9p" : m.store_kind, .demanded = m.store_view == "closure"};
    const bool image = plan.kind == "erofs";
    if (m.store.empty()) {
        if (image || plan.demanded) return fail(0, "find the store", "", "there is none to make an image or a view of");
        return plan;
    }
    if (image && m.store_view == "all")
        return fail(0, "make the store's image", m.store, "it is made of a closure; storeView all is for storeKind 9p");
    auto contents = store_contents(m);
    if (!contents) {
        if (image || plan.demanded) return std::unexpected(contents.error());
        if (!m.toplevel.empty() && m.store_view != "all")
            plan.notes.push_back("the guest sees all of the store, for its closure is not known: " +
                                 base::message(contents.error()));
        return plan;
    }
    plan.contents = std::move(*contents);
    plan.closure_alone = m.store_view != "all";
    if (!image) return plan;
    const ImageSpec spec = image_spec(plan, m, run_folder);
    plan.image = image_path(spec);
    struct stat st{};
    if (::stat(plan.image.c_str(), &st) < 0)
        if (auto mkfs = find_mkfs(); !mkfs) return std::unexpected(mkfs.error());
    return plan;
}

Result<ProvidedStore> provide_store(const StorePlan &plan, const Machine &m, const std::string &run_folder,
                                    const std::function<void(const std::string &)> &progress) {
    ProvidedStore provided{.image = plan.image};
    if (plan.kind == "erofs") {
        auto made = make_image(image_spec(plan, m, run_folder), progress);
        return made ? Result<ProvidedStore>(std::move(provided)) : std::unexpected(made.error());
    }
    if (!plan.contents) return provided;
    // An image is a copy, but what is shared must stay.
    auto root = GcRoot::hold(m.store, plan.contents->roots, run_folder);
    if (root)
        provided.gc_root = std::move(*root);
    else
        provided.notes.push_back("the host's garbage collector may take the store from the guest: " +
                                 base::message(root.error()));
    if (!plan.closure_alone) return provided;
    const std::string place = run_folder + "/view";
    if (::mkdir(place.c_str(), 0700) < 0 && errno != EEXIST) return fail(errno, "make a view of the store", place);
    auto view = open_view({m.store, plan.contents->names, place});
    if (!view && plan.demanded) return std::unexpected(view.error());
    if (!view) {
        provided.notes.push_back("the guest sees all of the store: " + base::message(view.error()));
        return provided;
    }
    provided.view = std::move(*view);
    provided.folder = std::format("/proc/self/fd/{}", provided.view.folder.get());
    return provided;
}

}  // namespace hostside

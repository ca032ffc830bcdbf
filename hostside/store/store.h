// Plans and provides a guest's store. Planning only reads; providing happens before QEMU starts.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hostside/description/machine.h"
#include "hostside/store/contents.h"
#include "hostside/store/gc_root.h"
#include "hostside/store/view.h"
#include "hostside/store/virtiofsd.h"
#include "mounts/base/error.h"

namespace hostside {

struct StorePlan {
    std::string kind = "9p";                // 9p, erofs, virtiofs
    std::optional<StoreContents> contents;  // absent: unknown or not needed
    bool closure_alone = false;             // the guest sees only the contents
    bool demanded = false;                  // the machine must not start without that
    std::string image;                      // path, for erofs
    bool optional_image = false;            // if it can't be had, the machine starts over 9p (without_image)
    std::string start_note;                 // to be written when the store is provided (second_start.h); empty: none
    std::string socket;                     // path, for virtiofs
    std::vector<std::string> notes;         // messages for the user
};

// `starts`: a machine starts now, so `auto` may make an image; otherwise it uses one that exists.
// Error: a demand of the description cannot be met.
base::Result<StorePlan> plan_store(const Machine &machine, const std::string &run_directory, bool starts = true);

// The plan for 9p, when an optional image can't be had.
StorePlan without_image(StorePlan plan);

// Exists while the machine runs.
struct ProvidedStore {
    std::string directory;  // shared by QEMU; empty: the image is the store, or the machine's own directory is shared unchanged
    std::string image;
    StoreView view;
    CompanionProcess daemon;
    GcRoot gc_root;
    std::vector<std::string> notes;
};
// Error: EBUSY: another launcher is making an optional image.
base::Result<ProvidedStore> provide_store(const StorePlan &plan, const Machine &machine, const std::string &run_directory,
                                          const std::function<void(const std::string &)> &progress);

}  // namespace hostside

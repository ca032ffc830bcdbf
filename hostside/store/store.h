// How a machine's guest gets its store, and what of it: decided first, by looking alone, and provided before QEMU starts.
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
    std::optional<StoreContents> contents;  // absent: not known, or nobody needs to
    bool closure_alone = false;             // the guest sees no more than the contents
    bool demanded = false;                  // and if that can't be had, the machine does not start
    std::string image;                      // path, of erofs
    std::string socket;                     // path, of virtiofs
    std::vector<std::string> notes;         // for a person
};

// Error: what is demanded can't be had.
base::Result<StorePlan> plan_store(const Machine &machine, const std::string &run_directory);

// What is made: for as long as the machine runs.
struct ProvidedStore {
    std::string directory;  // what QEMU shares; empty: the image is the store, or the machine's own directory as it is
    std::string image;
    StoreView view;
    CompanionProcess daemon;
    GcRoot gc_root;
    std::vector<std::string> notes;
};
base::Result<ProvidedStore> provide_store(const StorePlan &plan, const Machine &machine, const std::string &run_directory,
                                          const std::function<void(const std::string &)> &progress);

}  // namespace hostside

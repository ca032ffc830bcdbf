// Protects a closure from the host's garbage collector while a machine runs, with Nix's own two methods. If we can write there
// (root), a file of temporary roots, which is locked while its owner lives. Otherwise links in the run directory that Nix
// registers as indirect roots, for ordinary users through its daemon. What a killed launcher leaves protects nothing.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

class GcRoot {
  public:
    // `store`: ROOT/nix/store. Without Nix on this host there is no collector, so it protects nothing. Error: the collector may
    // remove paths while the machine runs.
    static base::Result<GcRoot> hold(const std::string &store, const std::vector<std::string> &paths,
                                     const std::string &run_directory);
    // Adds one more path of the same store. Separate from hold(), so that an invalid path does not affect the others.
    base::Result<> add(const std::string &store, const std::string &path, const std::string &run_directory);
    GcRoot() = default;
    GcRoot(GcRoot &&) noexcept = default;
    GcRoot &operator=(GcRoot &&other) noexcept;
    GcRoot(const GcRoot &) = delete;
    GcRoot &operator=(const GcRoot &) = delete;
    ~GcRoot();

  private:
    std::string path_;  // of the temporary roots' file; empty: none
    base::Fd file_;     // locked
    int added_ = 0;
};

// Protects the paths in `image` while it exists, with links beside it that are removed together with it (base/cache.h).
base::Result<> hold_for_image(const std::string &store, const std::vector<std::string> &paths, const std::string &image);

}  // namespace hostside

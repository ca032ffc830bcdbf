// Keeps a closure from the host's garbage collector for as long as a machine runs, in Nix's own two ways: a file of temporary
// roots, locked by its owner's life, where we may write one (root); else links in the run directory that Nix registers as
// indirect roots, through its daemon for an ordinary user. What a killed launcher leaves holds nothing.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

class GcRoot {
  public:
    // `store`: ROOT/nix/store. With no Nix on this host there is nothing to keep it from: holds nothing then. Error: the
    // collector may take the paths while the machine runs.
    static base::Result<GcRoot> hold(const std::string &store, const std::vector<std::string> &paths,
                                     const std::string &run_directory);
    // More of the same store. A path of its own: one that is not valid there is no reason to lose the others.
    base::Result<> add(const std::string &store, const std::string &path, const std::string &run_directory);
    GcRoot() = default;
    GcRoot(GcRoot &&) noexcept = default;
    GcRoot &operator=(GcRoot &&other) noexcept;
    GcRoot(const GcRoot &) = delete;
    GcRoot &operator=(const GcRoot &) = delete;
    ~GcRoot();

  private:
    std::string path_;  // of the temporary roots; empty: none
    base::Fd file_;     // locked
    int added_ = 0;
};

// For as long as `image` is there, which is made of these paths: links beside it, which go when it goes (base/cache.h).
base::Result<> hold_for_image(const std::string &store, const std::vector<std::string> &paths, const std::string &image);

}  // namespace hostside

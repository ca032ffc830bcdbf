// A store that contains only some paths: a tmpfs with a read-only bind mount for each, in a mount namespace without processes.
// Ordinary users need a user namespace for it, which some containers and systems deny.
//
// The view is the namespace's root, so `..` leads nowhere. A process with the directory's descriptor sees the paths with their
// real owners, because it is not in the user namespace itself. For programs that need a path, /proc/self/fd/N is one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"
#include "mounts/base/process.h"

namespace hostside {

struct ViewSpec {
    std::string store;                      // the directory with the paths
    const std::vector<std::string> &names;  // of files, directories and links in it
    std::string place;                      // an empty directory of ours to mount on; others do not see the mount
};

struct StoreView {
    base::Fd directory;   // programs inherit it
    base::Fd namespace_;  // keeps the mounts alive
};

// Error: namespaces are denied, more paths than mounts allowed in a namespace (fs.mount-max), or a path that does not exist.
base::Result<StoreView> open_view(const ViewSpec &spec);

// Starts a program that sees the view at `place` and everything else unchanged. Captures its output; it inherits our
// descriptors that are not close-on-exec. It dies with us. In its own user namespace, files of other users belong to nobody.
base::Result<base::Child> start_over_view(const ViewSpec &spec, const std::vector<std::string> &argv);

// Runs such a program to its end. Calls `tick` about once a second.
base::Result<base::Exit> run_over_view(const ViewSpec &spec, const std::vector<std::string> &argv,
                                       const std::function<void()> &tick);

}  // namespace hostside

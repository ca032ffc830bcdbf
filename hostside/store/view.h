// A store in which only some paths are: a tmpfs of our own with a bind mount for each, read-only, in a mount namespace that
// nobody is in. As an ordinary user that takes a user namespace, which some containers and systems deny.
//
// The namespace's root is the view, so that `..` leads nowhere. Whoever has the directory's descriptor sees the paths
// as they are, owners included, because the reader itself is in no user namespace. /proc/self/fd/N is a path of it, for programs
// that take one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"
#include "mounts/base/process.h"

namespace hostside {

struct ViewSpec {
    std::string store;                      // the directory in which they lie
    const std::vector<std::string> &names;  // of files, directories and links in it
    std::string place;                      // an empty directory of ours, to mount on; nobody else sees that
};

struct StoreView {
    base::Fd directory;   // a program inherits it
    base::Fd namespace_;  // keeps the mounts
};

// Error: namespaces are denied, more paths than a namespace may have mounts (fs.mount-max), a path that is not there.
base::Result<StoreView> open_view(const ViewSpec &spec);

// Starts a program that sees the view at `place`, and all else as it is; its output is captured, and it has our descriptors but
// those that close on exec. It dies with us. In a user namespace of its own, others' files are nobody's to it.
base::Result<base::Child> start_over_view(const ViewSpec &spec, const std::vector<std::string> &argv);

// Such a program, to its end. `tick` is called about once a second.
base::Result<base::Exit> run_over_view(const ViewSpec &spec, const std::vector<std::string> &argv,
                                       const std::function<void()> &tick);

}  // namespace hostside

// From a machine and what its host is like to what a launch does, in order, and to what QEMU is told. Pure: apply.h does it,
// `runvm run --print` prints it.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "hostside/base/user.h"
#include "hostside/description/machine.h"
#include "hostside/launch/facts.h"
#include "mounts/base/error.h"

namespace hostside {

// An entry of the cache that the facts found.
struct UseCached {
    std::string path;
};
// For as long as the machine runs.
struct JoinVlan {
    std::string runtime;
    int vlan = 0, node = 0;
};
// That a guest writes into, as `xchg` is.
struct MakeOwnDirectory {
    std::string path;
    std::optional<User> owner{};  // absent: us
};
// What `beginning` (a file's path) has, if there is one, then `bytes`. In the cache its name tells the content: one that is
// there is left as it is.
struct WriteFile {
    std::string path, beginning, bytes;
    bool cached = false;
};
// Against a second machine, for as long as this one runs. What the plan was made for must still be so.
struct HoldImage {
    std::string path;
    bool empty = false;
    std::string format = "qcow2";
};
struct PutAside {
    std::string from, to;
};
struct MakeImage {
    std::string path;
    int mib = 0;
    std::string format = "qcow2";
};
struct GrowImage {
    std::string path;
    int mib = 0;
    std::string format = "qcow2";
};
struct OverlayImage {
    std::string path, backing, backing_format;
};
struct CopyFile {
    std::string from, to;
};
// What an image was made for, beside it: qcow2 has no place for that.
struct WriteStamp {
    std::string image, toplevel;
};
// Connections of the guest to ports of the host.
struct RelayGuest {
    std::string socket;
    std::vector<std::string> targets;
};
using LaunchStep = std::variant<UseCached, JoinVlan, RelayGuest, MakeOwnDirectory, WriteFile, HoldImage, PutAside, MakeImage,
                                GrowImage, OverlayImage, CopyFile, WriteStamp>;

struct LaunchPlan {
    std::vector<LaunchStep> steps;
    HostFacts host;
    std::vector<Remembered> learned;
    std::vector<std::string> notes;
};

// Error: a command line that is too long; whatever qemu_argv refuses.
base::Result<LaunchPlan> plan_launch(const Machine &machine, LaunchFacts facts);

// The step that writes the whole initrd, what the command line can't carry and the registration in it, to `path`.
base::Result<WriteFile> plan_initrd(const LaunchFacts &facts, const std::string &path);

}  // namespace hostside

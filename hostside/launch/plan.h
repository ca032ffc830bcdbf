// Turns a machine and the facts about its host into the ordered steps of a launch and QEMU's arguments. Pure: apply.h executes
// the plan, `runvm run --print` prints it.
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

// A cache entry that the facts found.
struct UseCached {
    std::string path;
};
// Joined while the machine runs.
struct JoinVlan {
    std::string runtime;
    int vlan = 0, node = 0;
};
// A directory that the guest writes into, such as `xchg`.
struct MakeOwnDirectory {
    std::string path;
    std::optional<User> owner{};  // absent: the current user
};
// A file in a new directory of its own. Everybody may read both, but only we reach them, or QEMU, which has the directory open
// before it becomes another user.
struct ShareFile {
    std::string from, directory, name;
};
// Writes the content of the file `beginning`, if set, then `bytes`. In the cache, the name identifies the content, so an
// existing file is left as it is.
struct WriteFile {
    std::string path, beginning, bytes;
    bool cached = false;
};
// Locks the image against a second machine while this one runs. The facts that the plan is based on must still hold.
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
    bool kept = false;  // `to` outlives the run; an existing file is left as it is
};
// The system that an image was made for, in a file beside it, because qcow2 has no place for it.
struct WriteStamp {
    std::string image, toplevel;
};
// Relays the guest's connections to host ports.
struct RelayGuest {
    std::string socket;
    std::vector<std::string> targets;
};
using LaunchStep = std::variant<UseCached, JoinVlan, RelayGuest, MakeOwnDirectory, ShareFile, WriteFile, HoldImage, PutAside,
                                MakeImage, GrowImage, OverlayImage, CopyFile, WriteStamp>;

struct LaunchPlan {
    std::vector<LaunchStep> steps;
    HostFacts host;
    std::vector<Remembered> learned;
    std::vector<std::string> notes;
};

// Error: the command line is too long, or qemu_argv refuses something.
base::Result<LaunchPlan> plan_launch(const Machine &machine, LaunchFacts facts);

// The step that writes the complete initrd to `path`, including the registration and whatever does not fit on the command line.
base::Result<WriteFile> plan_initrd(const LaunchFacts &facts, const std::string &path);

}  // namespace hostside

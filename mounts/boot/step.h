// One thing that stage 1 does to the machine, as a value: planned by plan.h, told by describe(), done by stage1/steps/run_step.h.
// A step carries all that it needs. What can only be known from a device is decided when it is there, and describe() says so:
// whether a disk is empty, and which file system a device holds that the table takes for another.
#pragma once

#include <sys/types.h>

#include <array>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mounts/boot/boot_parameters.h"

namespace mounts {

// In MakeBindPlaces, Mount, MountUnion, MakeDirectory, MarkFile and GrowFileSystem `root` is the beginning of each path that is a
// directory which the rest is resolved beneath, its links too (RESOLVE_IN_ROOT): whoever wrote the target root's disk leads
// nobody out of it. Empty: the paths are the initrd's own.

// Modules that a later step needs, dependencies first being the loader's business.
struct NeededModule {
    std::string name;  // or an alias: fs-ext4
    std::string by;    // the first that needs it, as a person knows it: where it is mounted
};
struct LoadModules {
    std::vector<NeededModule> modules;
};

// A block device must appear; resolved to a path in /dev by whoever runs it.
struct WaitForDevice {
    std::string spec;  // path, LABEL=, UUID=, PARTUUID=, serial=
    int timeout_s = 0;
};

// Formatted when proven empty, else kept; the rule is in stage1/disk/.
struct PrepareDisk {
    std::string spec;
    bool vouched = false;  // the launcher knows that nothing was ever written to it
    // LABEL= or UUID= that the root is known by: what is made gets it, unless a device has it already. Empty: any will do.
    std::string content{};
};

struct Mount {
    std::string source;  // of a bind mount a path like `target`; the places in an overlay's options are in the root, too
    std::string target;  // full path, target root included
    std::string type;
    std::string options;
    bool optional = false;
    std::string root{};
};

// The source of a bind mount, a directory when there is nothing, and a mount point of its kind: a directory or a file.
struct MakeBindPlaces {
    std::string source;
    std::string target;
    std::string root{};
};

// A line of the table that is not for us, told and no more.
struct PassOver {
    std::string text;
};

// A writable union at `target` over `lower`; `upper` and `work` are siblings on one file system.
struct MountUnion {
    std::string lower;
    std::string upper;
    std::string work;
    std::string target;
    UnionEngine engine = UnionEngine::automatic;
    std::string options{};  // of unionfs(8), comma-separated
    std::string root{};
    std::string reginfo{};  // as in RegisterClosure: what it registers is not to be hidden
    std::string trace{};    // a file for the names of the paths that are used; empty: none
};

// mkdir -p; the mode is set on the last level only when it is made anew or `enforce_mode`.
struct MakeDirectory {
    std::string path;
    mode_t mode = 0755;
    bool enforce_mode = false;
    std::string root{};
};

// An empty regular file that must be there (etc/NIXOS); one that is there is left alone.
struct MarkFile {
    std::string path;
    std::string root{};
};

// systemd in stage 2 mounts no tmpfs over /tmp (tmp.mount) as long as `place`, which lies in it, is a mount point.
struct KeepVisible {
    std::string place;  // in stage 2's eyes
};

// Grows a mounted ext4 to its device.
struct GrowFileSystem {
    std::string target;
    std::string root{};
};

// fsck of a device, decided as NixOS's stage 1 decides.
struct CheckFileSystem {
    std::string spec;
    std::string type;
};

struct RegisterClosure {
    std::string target_root;
    std::string reginfo;  // in the target root; empty: wherever it is found
    std::string system;   // the toplevel whose init is started, in the target root
    RegisterMode mode = RegisterMode::automatic;
};

// Stage 2 is there and can be executed: found out before anything is done for it.
struct CheckInit {
    std::string target_root;
    std::string init;
};

// The launcher saves the machine here; whoever is made of that goes on.
struct WaitForFork {};

struct SwitchRoot {
    std::string target_root;
    std::string init;
    AgentMode agent = AgentMode::on;
    // Mounted by the agent when the machine is a fork; of a `root` that is then its own.
    std::vector<Mount> late{};
};

using Step =
    std::variant<LoadModules, WaitForDevice, PrepareDisk, CheckFileSystem, PassOver, MakeBindPlaces, Mount, MountUnion,
                 MakeDirectory, MarkFile, KeepVisible, GrowFileSystem, RegisterClosure, CheckInit, WaitForFork, SwitchRoot>;

// One line without newline, in the words of mount(8) and friends.
std::string describe(const Step &step);

// What the step is called in errors, reports and `stage1.break=`: "mount", "union", "register".
std::string_view kind(const Step &step);

// All that kind() says, as they are named to a person.
inline constexpr std::array<std::string_view, 15> step_kinds{"modules", "wait",     "format", "fsck", "fstab",
                                                             "mkdir",   "mount",    "union",  "mark", "keep",
                                                             "grow",    "register", "init",   "fork", "switch_root"};

}  // namespace mounts

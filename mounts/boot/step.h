// One action of stage 1 as a value: plan.h plans it, describe() prints it, stage1/steps/run_step.h runs it. A step carries all
// its data. Facts that only a device can tell are decided at run time, and describe() says so: whether a disk is empty, and
// which file system a device really holds if the table names another.
#pragma once

#include <sys/types.h>

#include <array>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mounts/boot/boot_parameters.h"

namespace mounts {

// `root` in MakeBindPlaces, Mount, MountUnion, MakeDirectory, MarkFile and GrowFileSystem is a directory and the prefix of each
// path. The rest of the path, including symlinks, is resolved beneath it (RESOLVE_IN_ROOT), because whoever wrote the target
// root's disk must not lead us out of it. Empty: the paths are in the initrd.

// Modules that a later step needs. The loader adds their dependencies.
struct NeededModule {
    std::string name;  // or an alias, such as fs-ext4
    std::string by;    // who needs it first, in terms that a person knows: its mount point
};
struct LoadModules {
    std::vector<NeededModule> modules;
};

// Waits until a block device appears and resolves it to a path in /dev.
struct WaitForDevice {
    std::string spec;  // path, LABEL=, UUID=, PARTUUID=, serial=
    int timeout_s = 0;
};

// Formats a disk that is proven empty and keeps any other; stage1/disk/ has the rule.
struct PrepareDisk {
    std::string spec;
    bool vouched = false;  // the launcher vouches that nothing was ever written to it
    // The LABEL= or UUID= of the root. The new file system gets it, unless a device has it already. Empty: any will do.
    std::string content{};
};

struct Mount {
    std::string source;  // for a bind mount, a path like `target`; paths in an overlay's options are in the root too
    std::string target;  // full path, including the target root
    std::string type;
    std::string options;
    bool optional = false;
    std::string root{};
};

// Creates the source of a bind mount, as a directory, if it is missing, and a mount point of the same kind (directory or file).
struct MakeBindPlaces {
    std::string source;
    std::string target;
    std::string root{};
};

// A line of the table that stage 1 skips; only reported.
struct PassOver {
    std::string text;
};

// A writable union at `target` over `lower`. `upper` and `work` are on one file system, in one directory.
struct MountUnion {
    std::string lower;
    std::string upper;
    std::string work;
    std::string target;
    UnionEngine engine = UnionEngine::automatic;
    std::string options{};  // of unionfs(8), comma-separated
    std::string root{};
    std::string reginfo{};  // as in RegisterClosure; the union must not hide the paths that it registers
    std::string trace{};    // file for the names of used paths; empty: none
};

// mkdir -p. Sets the mode of the last directory only if it is new or `enforce_mode` is set.
struct MakeDirectory {
    std::string path;
    mode_t mode = 0755;
    bool enforce_mode = false;
    std::string root{};
};

// Creates an empty regular file (etc/NIXOS) unless it exists.
struct MarkFile {
    std::string path;
    std::string root{};
};

// Keeps systemd in stage 2 from mounting a tmpfs over /tmp (tmp.mount) while `place`, which is in /tmp, is a mount point.
struct KeepVisible {
    std::string place;  // as stage 2 sees it
};

// Grows a mounted ext4 to the size of its device.
struct GrowFileSystem {
    std::string target;
    std::string root{};
};

// Runs fsck on a device, under the same conditions as NixOS's stage 1.
struct CheckFileSystem {
    std::string spec;
    std::string type;
};

struct RegisterClosure {
    std::string target_root;
    std::string reginfo;  // in the target root; empty: search for it
    std::string system;   // the toplevel whose init starts, in the target root
    RegisterMode mode = RegisterMode::automatic;
};

// Registers what the host has put into xchg for a fork: store paths that came since the machine was saved.
struct RegisterNewPaths {
    std::string target_root;
    std::string file;  // the registration, in the target root; may be absent
};

// Checks that stage 2 exists and is executable, before anything is done for it.
struct CheckInit {
    std::string target_root;
    std::string init;
};

// The launcher saves the machine here. Each restored machine continues from here.
struct WaitForFork {};

struct SwitchRoot {
    std::string target_root;
    std::string init;
    AgentMode agent = AgentMode::on;
    // What the agent mounts in a restored machine. Its `root` is then the machine's own root.
    std::vector<Mount> late{};
};

using Step = std::variant<LoadModules, WaitForDevice, PrepareDisk, CheckFileSystem, PassOver, MakeBindPlaces, Mount, MountUnion,
                          MakeDirectory, MarkFile, KeepVisible, GrowFileSystem, RegisterClosure, RegisterNewPaths, CheckInit,
                          WaitForFork, SwitchRoot>;

// One line without a newline, in the terms of mount(8) and its relatives.
std::string describe(const Step &step);

// The step's name in errors, reports and `stage1.break=`: "mount", "union", "register".
std::string_view kind(const Step &step);

// All results of kind(), in the order in which a person sees them.
inline constexpr std::array<std::string_view, 16> step_kinds{"modules", "wait",  "format",    "fsck",       "fstab", "mkdir",
                                                             "mount",   "union", "mark",      "keep",       "grow",  "register",
                                                             "init",    "fork",  "new-paths", "switch_root"};

}  // namespace mounts

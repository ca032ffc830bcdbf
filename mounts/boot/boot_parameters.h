// What the kernel parameters mean to stage 1: a typed value a parameter. Names are in protocol.h; those that NixOS's
// own stage 1 has (nixos/modules/system/boot/stage-1-init.sh) keep their meaning. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/boot/command_line.h"
#include "mounts/protocol.h"

namespace mounts {

enum class UnionMode { off, tmpfs, disk };  // where the store's upper is; off: the store is read-only
enum class UnionEngine { automatic, overlay, fuse };
enum class StoreKind { nine_p, erofs, virtiofs };  // what the host gives the guest as its store
enum class RegisterMode { automatic, strict, off };
enum class SnapshotPoint { none, before_stage_2, ready };
enum class AgentMode { on, early, off, only };  // early: in stage 1 too; only: PID 1 itself, there is no stage 2

std::string_view name(UnionMode mode);
std::string_view name(UnionEngine engine);

// One `stage1.share=TAG:TARGET[:OPTIONS]`.
struct Share {
    std::string tag;
    std::string target;   // absolute, in the target root
    std::string options;  // mount options beyond the defaults; may be empty
    bool operator==(const Share &) const = default;
};

struct BootParameters {
    std::string init;                         // absolute path in the target root; empty: not given
    std::optional<std::string> root;          // absent: as the fstab says
    std::optional<std::string> root_type;     // rootfstype=
    std::optional<std::string> root_options;  // rootflags=
    bool root_read_only = false;              // `ro`; a later `rw` takes it back
    std::string reginfo;                      // empty: not given
    std::string boot;                         // what is mounted on /boot; empty: nothing
    std::vector<std::string> consoles;        // in order; the last one is /dev/console
    std::optional<StoreKind> store_kind;      // absent: as the fstab says
    std::optional<UnionMode> store_union;     // the same
    UnionEngine union_engine = UnionEngine::automatic;
    std::string union_options;  // of unionfs(8), comma-separated; the engine is fuse then
    bool union_trace = false;   // of the store paths that are used; the engine is fuse then
    std::vector<Share> shares;
    std::string fresh_disk;     // serial of a disk to which, the launcher says, nothing was ever written; empty: none
    int device_timeout_s = 20;  // NixOS's stage 1 tries 20 times, a second apart
    RegisterMode registration = RegisterMode::automatic;
    AgentMode agent = AgentMode::on;
    SnapshotPoint snapshot = SnapshotPoint::none;  // where the launcher saves the machine, to have copies of it
    std::vector<protocol::BootPhase> break_before;
    std::vector<std::string> break_before_steps;  // mounts::kind() of them, or `KIND:TEXT` of those whose line has the text
    // NixOS's debugging parameters; each stop is a shell or the menu on the console.
    bool trace = false;            // boot.trace / debugtrace
    bool shell_on_fail = false;    // boot.shell_on_fail
    bool panic_on_fail = false;    // boot.panic_on_fail, stage1panic=1
    bool stop_at_start = false;    // boot.debug1 / debug1
    bool stop_at_devices = false;  // boot.debug1devices
    bool stop_at_mounts = false;   // boot.debug1mounts
};

// The names of those that are ours alone: `stage1.union` and so on, sorted.
std::vector<std::string_view> own_parameters();

// Error (code 0): a parameter of ours has a value that it does not take; the parameter is named. Parameters that are
// not ours are left alone, whatever they hold. A parameter given twice: the later one counts, but shares add up.
base::Result<BootParameters> boot_parameters(const std::vector<Parameter> &parameters);

}  // namespace mounts

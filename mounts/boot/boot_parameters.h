// The kernel parameters as typed values, one per parameter. Their names are in protocol.h. Parameters that NixOS's own stage 1
// has (nixos/modules/system/boot/stage-1-init.sh) keep their meaning. Pure.
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
enum class StoreKind { nine_p, erofs, virtiofs };  // what the host provides as the store
enum class RegisterMode { automatic, strict, off };
enum class SnapshotPoint { none, before_stage_2, ready };
enum class AgentMode { on, early, off, only };  // early: in stage 1 too; only: the agent is PID 1, and there is no stage 2

std::string_view name(UnionMode mode);
std::string_view name(UnionEngine engine);

// One `stage1.share=TAG:TARGET[:OPTIONS]`.
struct Share {
    std::string tag;
    std::string target;   // absolute, in the target root
    std::string options;  // mount options besides the defaults; may be empty
    bool operator==(const Share &) const = default;
};

struct BootParameters {
    std::string init;                         // absolute path in the target root; empty: not given
    std::optional<std::string> root;          // absent: the fstab decides
    std::optional<std::string> root_type;     // rootfstype=
    std::optional<std::string> root_options;  // rootflags=
    bool root_read_only = false;              // `ro`; a later `rw` resets it
    std::string reginfo;                      // empty: not given
    std::string boot;                         // what is mounted on /boot; empty: nothing
    std::vector<std::string> consoles;        // in order; the last one is /dev/console
    std::optional<StoreKind> store_kind;      // absent: the fstab decides
    std::optional<UnionMode> store_union;     // absent: the fstab decides
    UnionEngine union_engine = UnionEngine::automatic;
    std::string union_options;  // of unionfs(8), comma-separated; they imply the fuse engine
    bool union_trace = false;   // record which store paths are used; implies the fuse engine
    std::vector<Share> shares;
    std::vector<std::string> virtiofs_tags;  // mount tags that the host offers over virtiofs and not over 9p
    std::string fresh_disk;                  // serial of a disk that, says the launcher, was never written to; empty: none
    int device_timeout_s = 20;               // NixOS's stage 1 tries 20 times, once a second
    RegisterMode registration = RegisterMode::automatic;
    AgentMode agent = AgentMode::on;
    SnapshotPoint snapshot = SnapshotPoint::none;  // where the launcher saves the machine, to have copies of it
    std::vector<protocol::BootPhase> break_before;
    std::vector<std::string> break_before_steps;  // a mounts::kind(), or `KIND:TEXT` if the step's line has to contain TEXT
    // NixOS's debugging parameters; each stop opens a shell or the menu on the console.
    bool trace = false;            // boot.trace / debugtrace
    bool shell_on_fail = false;    // boot.shell_on_fail
    bool panic_on_fail = false;    // boot.panic_on_fail, stage1panic=1
    bool stop_at_start = false;    // boot.debug1 / debug1
    bool stop_at_devices = false;  // boot.debug1devices
    bool stop_at_mounts = false;   // boot.debug1mounts
};

// The names of stage1's own parameters (`stage1.union` and so on), sorted.
std::vector<std::string_view> own_parameters();

// Error (code 0): one of our parameters has an invalid value; the error names the parameter. Ignores parameters of others,
// whatever their value. If a parameter is repeated, the last one counts, but shares add up.
base::Result<BootParameters> boot_parameters(const std::vector<Parameter> &parameters);

}  // namespace mounts

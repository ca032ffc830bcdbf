// Everything that the guest (stage1) and the host (runvm) must agree on: kernel parameters, mount tags, disk serials and the
// names of files that one side writes and the other reads. Names and formats only.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace mounts::protocol {

// --- 9p mount tags (QEMU's -virtfs mount_tag=), named as in the 2013 module ---
inline constexpr std::string_view store_tag = "store";    // the host's /nix/store, read-only
inline constexpr std::string_view xchg_tag = "xchg";      // a new directory for each run, writable from both sides
inline constexpr std::string_view shared_tag = "shared";  // $SHARED_DIR, or the same directory as xchg

inline constexpr std::string_view certificates_tag = "certs";  // the host's certificates, only on request

// --- paths in the target root ---
inline constexpr std::string_view store_dir = "/nix/store";
inline constexpr std::string_view store_lower_dir = "/nix/.ro-store";  // the 9p store, when a union is mounted over it
inline constexpr std::string_view store_upper_dir = "/nix/.rw-store";  // holds upper/ and work/
inline constexpr std::string_view xchg_dir = "/tmp/xchg";
inline constexpr std::string_view shared_dir = "/tmp/shared";
inline constexpr std::string_view certificates_dir = "/etc/ssl/certs";
inline constexpr std::string_view default_target_root = "/mnt-root";  // the same as in NixOS's scripted stage 1

// --- the root disk ---
inline constexpr std::string_view default_root_device = "/dev/vda";
inline constexpr std::string_view root_disk_serial = "root";  // QEMU's serial=; disks are found by serial, not by position
inline constexpr std::string_view root_label = "nixos";       // label of an ext4 that stage1 creates

// --- the store's disk, if the store is an image ---
inline constexpr std::string_view store_disk_serial = "store";

// --- kernel parameters that others defined ---
inline constexpr std::string_view init_parameter = "init";        // path of stage 2 in the target root
inline constexpr std::string_view root_parameter = "root";        // path, LABEL=, UUID=, PARTUUID=, serial=, tmpfs
inline constexpr std::string_view reginfo_parameter = "regInfo";  // path of the closure's registration
// --- stage1's own kernel parameters; a bad value is an error that names the parameter ---
inline constexpr std::string_view store_parameter = "stage1.store";                    // 9p | erofs | virtiofs
inline constexpr std::string_view union_parameter = "stage1.union";                    // off | tmpfs | disk
inline constexpr std::string_view union_engine_parameter = "stage1.union.engine";      // auto | overlay | fuse
inline constexpr std::string_view union_options_parameter = "stage1.union.options";    // options of unionfs(8)
inline constexpr std::string_view share_parameter = "stage1.share";                    // TAG:TARGET[:OPTIONS], repeatable
inline constexpr std::string_view virtiofs_parameter = "stage1.virtiofs";              // TAG[,TAG]: shares that are not over 9p
inline constexpr std::string_view device_timeout_parameter = "stage1.device-timeout";  // seconds, 0 to 3600
inline constexpr std::string_view register_parameter = "stage1.register";              // auto | strict | off
inline constexpr std::string_view boot_parameter = "stage1.boot";  // LABEL=… or path of /boot; absent: no /boot
// The launcher vouches that nothing was ever written to the disk with this serial, so stage1 need not read the whole disk to
// prove that it is empty. This relaxes only the scan for zeros, never the probe.
inline constexpr std::string_view fresh_disk_parameter = "stage1.fresh-disk";
// Where `runvm snapshot` saves the machine. before-stage-2: stage 1 stops there, and goes on in a fork. ready: only a fork mounts
// the 9p shares, because QEMU saves no machine with a mounted 9p share.
inline constexpr std::string_view snapshot_parameter = "stage1.snapshot";
inline constexpr std::string_view break_parameter = "stage1.break";  // name of the phase to stop before
// A boot loader brings its own command line. The launcher then passes its parameters in an SMBIOS OEM string (type 11) with
// this prefix. The command line takes precedence.
inline constexpr std::string_view oem_parameters_prefix = "org.nixos.runvm.parameters=";

// --- the initrd. x86 truncates a command line at 2048 bytes; longer ones go into a file of an appended cpio ---
inline constexpr size_t command_line_limit_bytes = 2047;                       // COMMAND_LINE_SIZE minus the NUL
inline constexpr std::string_view parameters_file = "/etc/stage1/parameters";  // more kernel parameters, in the same syntax
inline constexpr std::string_view fstab_file = "/etc/stage1/fstab";            // replaces the built-in default
inline constexpr std::string_view modules_file = "/etc/stage1/modules";        // modules that are always loaded, one per line
inline constexpr std::string_view reginfo_file =
    "/etc/stage1/reginfo";  // registration text, or the path of one, when a boot loader boots the machine

// --- the boot loader's disk, mounted on /boot ---
inline constexpr std::string_view boot_disk_serial = "boot";
inline constexpr std::string_view boot_label = "boot";  // of the disk's ext4
inline constexpr std::string_view esp_label = "ESP";    // of the disk's vfat when EFI boots it

// --- phases of stage 1, in order; used by reports, `stage1.break=` and the status port ---
enum class BootPhase { modules, devices, mounts, system, registration, switch_root };
inline constexpr std::array<std::string_view, 6> boot_phase_names{"modules", "devices",  "mounts",
                                                                  "system",  "register", "switch_root"};
constexpr std::string_view name(BootPhase phase) { return boot_phase_names[static_cast<size_t>(phase)]; }
constexpr std::optional<BootPhase> boot_phase(std::string_view name) {
    const auto *const found = std::ranges::find(boot_phase_names, name);
    if (found == boot_phase_names.end()) return std::nullopt;
    return static_cast<BootPhase>(found - boot_phase_names.begin());
}

// --- the status port, over virtio-serial ---
// The guest writes a line `exit CODE`, `stage1-failed TEXT` or `ready`. The host answers each with `ack`, so that nothing is
// lost. It answers `fresh-disk` with `fresh` the first time and with `no` after that. The guest expects no answer to these
// lines: `phase NAME` when a phase of stage 1 begins, `step TEXT` when a step begins that may take long, `waits SECONDS NAME`
// when a device is missing, and, while xchg is not mounted, the report: `report`, then `report JSON` for each record. A guest
// that ends before the last phase, `switch_root`, has not booted. A guest that stops for a snapshot
// (stage1.snapshot=before-stage-2) writes `fork-point`, and goes on when the host writes `forked NEWS`, which makes the fork a
// machine of its own (mounts/exec/fork_news.h).
inline constexpr std::string_view status_port = "org.nixos.runvm.status";
inline constexpr std::string_view fork_point_line = "fork-point", forked_word = "forked ";
inline constexpr std::string_view fresh_answer = "fresh\n";  // not `ack`: a late one would look the same

// --- the agent's port: the host runs commands in the guest through it (mounts/exec/frame.h) ---
inline constexpr std::string_view exec_port = "org.nixos.runvm.exec";
inline constexpr std::string_view agent_parameter =
    "stage1.agent";  // on | early: already in stage 1 | off | only: the agent replaces stage 2

// --- files in xchg ---
inline constexpr std::string_view report_file = "stage1-report.json";  // guest to host: steps with start and end times
// Host to guest: the registration of paths that came since the machine was saved before stage 2. The guest removes it.
inline constexpr std::string_view new_paths_file = "new-paths";

}  // namespace mounts::protocol

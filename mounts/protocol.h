// What the guest (stage1) and the host (runvm) must agree on, stated once: kernel parameters, mount tags, disk serials,
// and the names of files that one writes and the other reads. Only names and formats.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace mounts::protocol {

// --- 9p mount tags (QEMU's -virtfs mount_tag=), the 2013 module's names ---
inline constexpr std::string_view store_tag = "store";    // the host's /nix/store, read-only
inline constexpr std::string_view xchg_tag = "xchg";      // a fresh directory a run, both ways
inline constexpr std::string_view shared_tag = "shared";  // $SHARED_DIR, else the same directory as xchg

inline constexpr std::string_view certificates_tag = "certs";  // the host's, where they are wanted

// --- where things are in the target root ---
inline constexpr std::string_view store_dir = "/nix/store";
inline constexpr std::string_view store_lower_dir = "/nix/.ro-store";  // the 9p store when a union lies over it
inline constexpr std::string_view store_upper_dir = "/nix/.rw-store";  // holds upper/ and work/
inline constexpr std::string_view xchg_dir = "/tmp/xchg";
inline constexpr std::string_view shared_dir = "/tmp/shared";
inline constexpr std::string_view certificates_dir = "/etc/ssl/certs";
inline constexpr std::string_view default_target_root = "/mnt-root";  // NixOS's scripted stage 1 has it too

// --- the root disk ---
inline constexpr std::string_view default_root_device = "/dev/vda";
inline constexpr std::string_view root_disk_serial = "root";  // QEMU's serial= of it: disks are named, not counted
inline constexpr std::string_view root_label = "nixos";       // label of an ext4 that we made

// --- the store's disk, where it is an image ---
inline constexpr std::string_view store_disk_serial = "store";

// --- kernel parameters. Those of others ---
inline constexpr std::string_view init_parameter = "init";        // path of stage 2 in the target root
inline constexpr std::string_view root_parameter = "root";        // path, LABEL=, UUID=, PARTUUID=, serial=, tmpfs
inline constexpr std::string_view reginfo_parameter = "regInfo";  // path of the closure's registration
// --- and ours; a bad value of one of these is an error that names it ---
inline constexpr std::string_view store_parameter = "stage1.store";                    // 9p | erofs | virtiofs
inline constexpr std::string_view union_parameter = "stage1.union";                    // off | tmpfs | disk
inline constexpr std::string_view union_engine_parameter = "stage1.union.engine";      // auto | overlay | fuse
inline constexpr std::string_view union_options_parameter = "stage1.union.options";    // of unionfs(8)
inline constexpr std::string_view share_parameter = "stage1.share";                    // TAG:TARGET[:OPTIONS], repeatable
inline constexpr std::string_view device_timeout_parameter = "stage1.device-timeout";  // seconds, 0 to 3600
inline constexpr std::string_view register_parameter = "stage1.register";              // auto | strict | off
inline constexpr std::string_view boot_parameter = "stage1.boot";                      // LABEL=… or path of /boot; absent: none
// The launcher knows that nothing was ever written to the disk with this serial: not all need be read to prove it empty.
// It relaxes the scan for zeros only, never the probe.
inline constexpr std::string_view fresh_disk_parameter = "stage1.fresh-disk";
// Where `runvm snapshot` saves the machine: before-stage-2: stage 1 stops there, and goes on in a fork; ready: what would keep
// QEMU from saving it, the 9p mounts but the store's, is mounted in a fork alone.
inline constexpr std::string_view snapshot_parameter = "stage1.snapshot";
inline constexpr std::string_view break_parameter = "stage1.break";  // name of a phase to stop before
// A boot loader has a command line of its own: what the launcher would have put there is an OEM string of SMBIOS (type 11) that
// begins so. The command line counts more.
inline constexpr std::string_view oem_parameters_prefix = "org.nixos.runvm.parameters=";

// --- the initrd. x86 cuts a command line at 2048 bytes: what is longer goes into a file of an appended cpio ---
inline constexpr size_t command_line_limit_bytes = 2047;                       // COMMAND_LINE_SIZE less the NUL
inline constexpr std::string_view parameters_file = "/etc/stage1/parameters";  // more kernel parameters, same syntax
inline constexpr std::string_view fstab_file = "/etc/stage1/fstab";            // replaces the built-in default
inline constexpr std::string_view modules_file = "/etc/stage1/modules";        // names to load always, one a line
inline constexpr std::string_view reginfo_file =
    "/etc/stage1/reginfo";  // registration, or a path's text, for boots by a boot loader

// --- the disk of a boot loader, which is /boot ---
inline constexpr std::string_view boot_disk_serial = "boot";
inline constexpr std::string_view boot_label = "boot";  // of its ext4
inline constexpr std::string_view esp_label = "ESP";    // of its vfat, where EFI boots

// --- phases of stage 1, in their order: of reports, of `stage1.break=`, of the status port ---
enum class BootPhase { modules, devices, mounts, system, registration, switch_root };
inline constexpr std::array<std::string_view, 6> boot_phase_names{"modules", "devices",  "mounts",
                                                                  "system",  "register", "switch_root"};
constexpr std::string_view name(BootPhase phase) { return boot_phase_names[static_cast<size_t>(phase)]; }
constexpr std::optional<BootPhase> boot_phase(std::string_view name) {
    const auto *const found = std::ranges::find(boot_phase_names, name);
    if (found == boot_phase_names.end()) return std::nullopt;
    return static_cast<BootPhase>(found - boot_phase_names.begin());
}

// --- the status port: virtio-serial. The guest writes a line `exit CODE`, `stage1-failed TEXT` or `ready`; the host answers
// each with `ack`, so that nothing is lost, and `fresh-disk` once with `fresh`, then with `no`. Without an answer, in passing, it
// writes `phase NAME` when a phase of stage 1 begins, `step TEXT` when a step begins that may take long, `waits SECONDS NAME`
// when a device is not there yet, and while it has no xchg its report: `report`, then `report JSON` for each record. A guest
// that stops for a snapshot (stage1.snapshot=before-stage-2) writes `fork-point`, and goes on when a line `forked NEWS` comes,
// with what makes the machine one of its own (mounts/exec/fork_news.h); the ready one is told so by its agent. A guest that ends
// itself before the last phase, `switch_root`, has not booted ---
inline constexpr std::string_view status_port = "org.nixos.runvm.status";
inline constexpr std::string_view fork_point_line = "fork-point", forked_word = "forked ";
inline constexpr std::string_view fresh_answer = "fresh\n";  // no `ack`: one that comes late would pass for it

// --- the port of the agent, by which the host runs commands in the guest (mounts/exec/frame.h) ---
inline constexpr std::string_view exec_port = "org.nixos.runvm.exec";
inline constexpr std::string_view agent_parameter =
    "stage1.agent";  // on | early: from stage 1 on | off | only: stage 2 is the agent

// --- files in xchg ---
inline constexpr std::string_view report_file = "stage1-report.json";  // guest to host: steps with start and end

}  // namespace mounts::protocol

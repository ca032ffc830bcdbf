// Names in a machine's run directory and of the things that machines share next to it. The launcher passes them to QEMU, and
// `runvm logs` finds them there.
#pragma once

#include <string>
#include <string_view>

namespace hostside {

inline constexpr std::string_view status_socket = "status";
inline constexpr std::string_view qmp_socket = "qmp";        // for other programs
inline constexpr std::string_view events_socket = "events";  // for the launcher
// An environment variable for the launcher of a fleet's machine: the directory where console.log and report.json will be.
inline constexpr std::string_view kept_in = "RUNVM_KEPT_IN";
inline constexpr std::string_view console_socket = "console";
inline constexpr std::string_view typed_pipe = "typed";                // for a run at a terminal, replaces the console's socket
inline constexpr std::string_view exec_socket = "exec";                // the hub's; each `runvm exec` connects to it
inline constexpr std::string_view exec_port_socket = "exec-port";      // QEMU's side of the agent's port
inline constexpr std::string_view exec_events_socket = "exec-events";  // monitor that reports the port's state to the hub
inline constexpr std::string_view relay_socket = "relay";              // for the guest's connections to the host

// The console's output: the newest part, and the part before it.
inline constexpr std::string_view console_log = "console.log";
inline constexpr std::string_view console_log_before = "console.log.1";

// The names of the store paths in the machine's closure, if the union traces the used ones.
inline constexpr std::string_view closure_names = "closure";

// The launcher's notes about the run.
inline constexpr std::string_view run_record = "run";

// $runtime/.vlan-N, shared only by the machines of one user with one XDG_RUNTIME_DIR.
std::string vlan_directory(const std::string &runtime, int vlan);
// QEMU's socket, and the launcher's socket that QEMU sends to.
std::string vlan_guest_socket(const std::string &directory, int node);
std::string vlan_switch_socket(const std::string &directory, int node);

}  // namespace hostside

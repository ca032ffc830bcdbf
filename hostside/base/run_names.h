// The names of what stands in a machine's run directory, and of what machines share beside it: QEMU is told them, the launcher
// and `runvm logs` look there.
#pragma once

#include <string>
#include <string_view>

namespace hostside {

inline constexpr std::string_view status_socket = "status";
inline constexpr std::string_view qmp_socket = "qmp";        // for others
inline constexpr std::string_view events_socket = "events";  // for the launcher
// An environment variable for the launcher of a fleet's machine: the directory where console.log and report.json will be.
inline constexpr std::string_view kept_in = "RUNVM_KEPT_IN";
inline constexpr std::string_view console_socket = "console";
inline constexpr std::string_view typed_pipe = "typed";                // of a console that the launcher shows
inline constexpr std::string_view exec_socket = "exec";                // the hub's, where each `runvm exec` connects
inline constexpr std::string_view exec_port_socket = "exec-port";      // QEMU's end of the agent's port
inline constexpr std::string_view exec_events_socket = "exec-events";  // QEMU's monitor that tells the hub of the port
inline constexpr std::string_view relay_socket = "relay";              // for connections of the guest

// What the console said: the newest part, and the part before it.
inline constexpr std::string_view console_log = "console.log";
inline constexpr std::string_view console_log_before = "console.log.1";

// The names of the store paths in the machine's closure, where those that it uses are traced.
inline constexpr std::string_view closure_names = "closure";

// What the launcher notes of the run.
inline constexpr std::string_view run_record = "run";

// $runtime/.vlan-N: machines of one user and one XDG_RUNTIME_DIR meet there, and nobody else.
std::string vlan_directory(const std::string &runtime, int vlan);
// QEMU's socket, and the launcher's to which QEMU sends.
std::string vlan_guest_socket(const std::string &directory, int node);
std::string vlan_switch_socket(const std::string &directory, int node);

}  // namespace hostside

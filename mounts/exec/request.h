// A command that the host asks the guest's agent for, and its text on the wire: fields that begin with a letter and end with a
// NUL, which no argument, path or variable of Linux can hold. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/exec/frame.h"

namespace mounts::exec {

struct Request {
    // Empty: the user's shell, as at a login.
    std::vector<std::string> argv;
    std::vector<std::string> environment;  // "NAME=value", over what the agent gives every command
    std::string directory;                 // empty: the user's home
    std::string user;                      // empty: root
    std::optional<Size> terminal;          // absent: three pipes
    // What the agent does itself instead of argv: "put MODE FILE" and "get FILE" in a file of the guest's, "power-off", "answer",
    // "wait-for UNIT" of systemd; of a build "build-begin USER OUTPUT...", "build-end USER PLACE", "nar PATH" and "nar-loosely
    // PATH", where "-" is a build user. Empty: nothing.
    std::string task;
    // As Nix runs a builder: the environment is the request's alone, and without a user it is a build user.
    bool builder = false;
    bool operator==(const Request &) const = default;
};

inline constexpr int absent_status = 2;  // of the nar tasks: nothing is there

inline constexpr size_t request_limit_bytes = size_t{4} << 20;  // Linux takes about half of it for an exec

std::string request_text(const Request &request);
// Absent: not what request_text() writes.
std::optional<Request> parse_request(std::string_view text);

}  // namespace mounts::exec

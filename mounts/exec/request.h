// A command that the host sends to the guest's agent, and its encoding: fields that begin with a letter and end with a NUL,
// because no argument, path or variable on Linux contains one. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/exec/frame.h"

namespace mounts::exec {

struct Request {
    // Empty: the user's login shell.
    std::vector<std::string> argv;
    std::vector<std::string> environment;  // "NAME=value"; overrides what the agent sets for every command
    std::string directory;                 // empty: the user's home
    std::string user;                      // empty: root
    std::optional<Size> terminal;          // absent: three pipes
    // A task that the agent performs itself instead of running argv. Empty: none. "put MODE FILE" and "get FILE" access a file
    // in the guest; "power-off"; "answer" does nothing; "wait-for UNIT" waits for a systemd unit. For builds: "build-begin USER
    // OUTPUT...", "build-end USER PLACE", "nar PATH" and "nar-loosely PATH", where USER "-" is any build user. For the store:
    // "store-new" prints the registration of what the guest added to it, and "store-rollback" removes that.
    std::string task;
    // Run as Nix runs a builder: the environment comes only from the request, and the default user is a build user.
    bool builder = false;
    bool operator==(const Request &) const = default;
};

inline constexpr int absent_status = 2;  // of the nar tasks: the path does not exist

inline constexpr size_t request_limit_bytes = size_t{4} << 20;  // Linux allows about half of this for an exec

std::string request_text(const Request &request);
// Absent: not in the format of request_text().
std::optional<Request> parse_request(std::string_view text);

}  // namespace mounts::exec

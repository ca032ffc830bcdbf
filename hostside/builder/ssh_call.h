// Parses an ssh command line as Nix writes it (libstore, ssh.cc): `ssh HOST -x -- nix-daemon --stdio`, `ssh -O check HOST`,
// `ssh HOST -M -N -S SOCKET`, and before about 2.19 the command without `--`. Pure.
#pragma once

#include <string>
#include <vector>

namespace hostside {

struct SshCall {
    std::string host;           // without a user; empty: none, as in `ssh -V`
    bool control = false;       // -O: controls a master that may be running
    bool master = false;        // -M -N: only be a master
    bool says_started = false;  // -oLocalCommand=echo started; not run by a command that uses a master (-S)
    std::vector<std::string> command;
};

// `words`: the arguments of `ssh`. As in ssh(1), options may follow the host, and the first other word begins the command.
SshCall ssh_call(const std::vector<std::string> &words);

// One line for a shell, as ssh(1) sends it: the words joined by blanks.
std::string command_line_of(const SshCall &call);

}  // namespace hostside

// What somebody who calls `ssh` wants of it, as Nix does (its libstore, ssh.cc): `ssh HOST -x -- nix-daemon --stdio`,
// `ssh -O check HOST`, `ssh HOST -M -N -S SOCKET`, and before 2.19 or so the command without the `--`. Pure.
#pragma once

#include <string>
#include <vector>

namespace hostside {

struct SshCall {
    std::string host;           // without a user; empty: none, as for `ssh -V`
    bool control = false;       // -O: a word to a master that may be there
    bool master = false;        // -M -N: nothing but to be one
    bool says_started = false;  // -oLocalCommand=echo started, which a command through a master (-S) leaves out
    std::vector<std::string> command;
};

// `words`: those after `ssh`. As ssh(1) has it, options may follow the host, and the first other word begins the command.
SshCall ssh_call(const std::vector<std::string> &words);

// One line for a shell, as ssh(1) sends it: the words with blanks between them.
std::string command_line_of(const SshCall &call);

}  // namespace hostside

// A machine that builds for the host's Nix: what was said of it once, kept in a directory of its own beside others, because Nix
// knows no more of it than its name. `DIR/bin/ssh` is for Nix, `DIR/NAME/` is the builder NAME.
#pragma once

#include <optional>
#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

struct Builder {
    std::string name;
    std::string system;                // Nix's: x86_64-linux
    std::string features;              // with commas; both sides are told them from here
    std::string store;                 // the host's, which the guest has
    std::string working_directory;     // where its description's relative paths begin
    std::optional<std::string> after;  // absent: as `runvm exec` has it
    int jobs = 1;
    int idle_s = 300;      // 0: it is never powered off
    int heartbeat_s = 60;  // 0: a guest may be silent
    int boot_limit_s = 600;
};

// What a name may be: it is a host's in a URL, and a directory's here. Empty: in order; else what is wrong.
std::string_view builder_name_fault(const std::string &name);

// ${XDG_STATE_HOME:-~/.local/state}/runvm-builders; empty: no home.
std::string builders_directory();

class BuilderPlace {
  public:
    BuilderPlace(std::string directory, std::string name) : directory_(std::move(directory)), name_(std::move(name)) {}

    [[nodiscard]] std::string at(std::string_view file) const { return directory_ + "/" + name_ + "/" + std::string(file); }
    [[nodiscard]] std::string description() const { return at("machine.json"); }
    [[nodiscard]] std::string log() const { return at("log"); }
    [[nodiscard]] std::string ssh() const { return directory_ + "/bin/ssh"; }
    [[nodiscard]] const std::string &name() const { return name_; }

    // Makes it, and the program for Nix, which starts `runvm`. A machine that runs for it goes on as it is.
    [[nodiscard]] base::Result<> write(const Builder &builder, const std::string &machine_json, const std::string &runvm) const;
    // ENOENT: there is no builder of this name.
    [[nodiscard]] base::Result<Builder> read() const;

    // A lock that goes with its descriptor, or with the process. `kind`: as flock(2) has it; with LOCK_NB an absent value says
    // that others hold it.
    [[nodiscard]] base::Result<std::optional<base::Fd>> lock(std::string_view file, int kind) const;

  private:
    std::string directory_, name_;
};

// Its line in /etc/nix/machines, or the value of --builders.
std::string machines_line(const Builder &builder, const std::string &scheme);

}  // namespace hostside

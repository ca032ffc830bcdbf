// A machine that builds for the host's Nix. Its settings are stored in a directory for builders, because Nix knows only its
// name. `DIR/bin/ssh` is for Nix; `DIR/NAME/` belongs to the builder NAME.
#pragma once

#include <optional>
#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

struct Builder {
    std::string name;
    std::string system;                // Nix's name for it: x86_64-linux
    std::string features;              // separated by commas; given to Nix here and in the guest
    std::string store;                 // the host's store, which the guest uses
    std::string working_directory;     // base of the description's relative paths
    std::optional<std::string> after;  // absent: the default of `runvm exec`
    int jobs = 1;
    int idle_s = 300;      // 0: never powered off
    int heartbeat_s = 60;  // 0: no limit on the guest's silence
    int boot_limit_s = 600;
};

// Checks a name, which becomes a host in a URL and a directory here. Returns the fault; empty: valid.
std::string_view builder_name_fault(const std::string &name);

// ${XDG_STATE_HOME:-~/.local/state}/runvm-builders; empty: no home directory.
std::string builders_directory();

class BuilderPlace {
  public:
    BuilderPlace(std::string directory, std::string name) : directory_(std::move(directory)), name_(std::move(name)) {}

    [[nodiscard]] std::string at(std::string_view file) const { return directory_ + "/" + name_ + "/" + std::string(file); }
    [[nodiscard]] std::string description() const { return at("machine.json"); }
    [[nodiscard]] std::string log() const { return at("log"); }
    [[nodiscard]] std::string ssh() const { return directory_ + "/bin/ssh"; }
    [[nodiscard]] const std::string &name() const { return name_; }

    // Creates the builder and Nix's `ssh` program, which starts `runvm`. A machine that already runs for it is not changed.
    [[nodiscard]] base::Result<> write(const Builder &builder, const std::string &machine_json, const std::string &runvm) const;
    // ENOENT: no builder has this name.
    [[nodiscard]] base::Result<Builder> read() const;

    // Takes a lock that ends with its descriptor or process. `kind`: as in flock(2). With LOCK_NB, no value means that another
    // process holds it.
    [[nodiscard]] base::Result<std::optional<base::Fd>> lock(std::string_view file, int kind) const;

  private:
    std::string directory_, name_;
};

// The builder's line for /etc/nix/machines or --builders.
std::string machines_line(const Builder &builder, const std::string &scheme);

}  // namespace hostside

// What a build is, as Nix has it at hand for its builder: the environment, the files beside it, the outputs.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

struct Derivation {
    using Variables = std::vector<std::pair<std::string, std::string>>;  // each name once
    struct Output {
        std::string name, path;  // "out", "/nix/store/HASH-NAME"
    };
    struct File {
        std::string from;      // here
        std::string name;      // in the build's directory
        std::string variable;  // that names it; may be empty
    };

    Variables environment;
    std::vector<Output> outputs;
    std::vector<File> files;
    [[nodiscard]] const std::string *find(std::string_view name) const;
};

// From a directory with Nix's .attrs.json and .attrs.sh, or else with the env-vars that nixpkgs' stdenv leaves of a build.
base::Result<Derivation> derivation_in(const std::string &directory);

// From the environment of a build on this host, which is ours: `environment` as environ(7).
base::Result<Derivation> derivation_of(char **environment);

// What bash's or dash's `export` prints, or variables that each end in a NUL. Pure; `name` is for messages.
base::Result<Derivation::Variables> variables_in(std::string_view text, const std::string &name);

// "NAME=value", as Nix gives it to a builder in the directory `place`: what the derivation says over Nix's defaults, and what is
// the place's own over both. `cores`: NIX_BUILD_CORES.
std::vector<std::string> builder_environment(const Derivation &derivation, const std::string &place, int cores);

// The store paths that stand in it, which the builder may want to see; its outputs are none of them.
std::vector<std::string> store_paths_in(const Derivation &derivation, const std::vector<std::string> &builder);

}  // namespace hostside

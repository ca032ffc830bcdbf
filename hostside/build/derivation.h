// A build as Nix presents it to the builder: the environment, the files beside it, the outputs.
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
        std::string from;      // on this host
        std::string name;      // in the build's directory
        std::string variable;  // holds its path; may be empty
    };

    Variables environment;
    std::vector<Output> outputs;
    std::vector<File> files;
    [[nodiscard]] const std::string *find(std::string_view name) const;
};

// Reads a directory with Nix's .attrs.json and .attrs.sh; otherwise the env-vars file that nixpkgs' stdenv leaves.
base::Result<Derivation> derivation_in(const std::string &directory);

// Reads the environment of a build on this host, which is our own. `environment`: as in environ(7).
base::Result<Derivation> derivation_of(char **environment);

// Parses the output of `export` in bash or dash, or variables that each end in a NUL. Pure; `name` is for messages.
base::Result<Derivation::Variables> variables_in(std::string_view text, const std::string &name);

// Returns "NAME=value" entries, as Nix gives them to a builder in the directory `place`. The derivation's variables override
// Nix's defaults, and those for `place` override both. `cores`: NIX_BUILD_CORES.
std::vector<std::string> builder_environment(const Derivation &derivation, const std::string &place, int cores);

// The store paths mentioned in the derivation and in `builder`, which the builder may read. Excludes its outputs.
std::vector<std::string> store_paths_in(const Derivation &derivation, const std::vector<std::string> &builder);

}  // namespace hostside

#include "hostside/cli/flake_system.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <system_error>

#include "hostside/base/exists.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

namespace fs = std::filesystem;
using base::fail;
using base::Result;

// A temporary directory for the link that nix makes to its result. Nix prints its messages to the user.
class LinkPlace {
  public:
    LinkPlace() {
        std::error_code error;
        std::string pattern = fs::temp_directory_path(error) / "runvm-flake-XXXXXX";
        if (!error && ::mkdtemp(pattern.data()) != nullptr) directory_ = pattern;
    }
    LinkPlace(const LinkPlace &) = delete;
    LinkPlace &operator=(const LinkPlace &) = delete;
    ~LinkPlace() {
        std::error_code ignored;
        if (!directory_.empty()) fs::remove_all(directory_, ignored);
    }
    [[nodiscard]] const std::string &directory() const { return directory_; }
    [[nodiscard]] std::string link() const { return directory_ + "/system"; }

  private:
    std::string directory_;
};

Result<std::string> built(const std::string &word, const std::string &output) {
    const LinkPlace place;
    if (place.directory().empty()) return fail(errno, "make a directory", "TMPDIR");
    const auto ran = base::run(
        {.argv = {"nix", "--extra-experimental-features", "nix-command flakes", "build", "--out-link", place.link(), output}});
    if (!ran && ran.error().code == ENOENT)
        return fail(0, "build", word,
                    "only nix can build a flake's system, and there is no nix in PATH; name a system that is already built");
    if (!ran) return std::unexpected(ran.error());
    if (ran->status != 0) return fail(0, "build", word, std::format("nix build {} ended with status {}", output, ran->status));
    std::error_code error;
    const fs::path system = fs::read_symlink(place.link(), error);
    if (error) return fail(error.value(), "build", word, "nix did not leave a link to the built system");
    return system.string();
}

}  // namespace

Result<std::optional<std::string>> flake_output(std::string_view word) {
    const size_t hash = word.find('#');
    if (hash == std::string_view::npos) return std::nullopt;
    const std::string_view flake = word.substr(0, hash), host = word.substr(hash + 1);
    constexpr std::string_view of_nix = "\"\\$^#";
    if (host.empty() || host.find_first_of(of_nix) != std::string_view::npos)
        return fail(0, "build", std::string(word), "name a host of the flake's nixosConfigurations after the #");
    return std::format("{}#nixosConfigurations.\"{}\".config.system.build.toplevel", flake.empty() ? "." : flake, host);
}

Result<std::string> system_of(const std::string &word) {
    if (exists(word)) return word;
    const auto output = flake_output(word);
    if (!output) return std::unexpected(output.error());
    return *output ? built(word, **output) : word;
}

}  // namespace hostside

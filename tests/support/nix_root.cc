#include "tests/support/nix_root.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <filesystem>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "mounts/nix/database.h"
#include "mounts/nix/nix_hash.h"

namespace nix_test {

namespace fs = std::filesystem;

std::string path_of(size_t n, std::string_view name) {
    std::string hash(32, '0');
    for (size_t i = 0; n != 0; n /= 32) hash[i++] = mounts::nix32_digits[n % 32];
    return "/nix/store/" + hash + "-" + std::string(name);
}

std::string entry(size_t n, const std::vector<size_t> &references, std::string_view size, char hash) {
    std::string text =
        path_of(n) + "\n" + std::string(64, hash) + "\n" + std::string(size) + "\n\n" + std::to_string(references.size()) + "\n";
    for (const size_t reference : references) text += path_of(reference) + "\n";
    return text;
}

Root::Root() : path((fs::temp_directory_path() / "nixdb-XXXXXX").string()) { REQUIRE(::mkdtemp(path.data()) != nullptr); }
Root::~Root() { fs::remove_all(path); }

base::Result<stage1::nixdb::RegisterReport> Root::load(const std::string &text, mounts::RegisterMode mode) const {
    REQUIRE(base::replace_file(path + "/reg", text));
    return stage1::nixdb::register_closure({.target_root = path, .reginfo = "/reg", .mode = mode});
}

std::string Root::error(const std::string &text, mounts::RegisterMode mode) const {
    const auto report = load(text, mode);
    return report ? "" : message(report.error());
}

std::string query(const std::string &database, const std::string &sql) {
    auto opened = mounts::Database::open(database, mounts::Database::Mode::create);
    REQUIRE(opened);
    auto statement = opened->prepare(sql);
    REQUIRE(statement);
    std::string result;
    while (statement->step().value()) result += (result.empty() ? "" : " ") + std::string(statement->text(0));
    return result;
}

void Root::put(size_t n) const { fs::create_directories(path + path_of(n)); }

std::vector<std::string> lines(const std::string &text) {
    std::vector<std::string> result;
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        result.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return result;
}

Nix::Nix(const std::string &suite) {
    const auto found = base::run({.argv = {"tests/support/nix-versions", suite}, .capture_output = true});
    if (!found || found->status != 0) SKIP("no Nix of " << suite << ": " << (found ? found->output : message(found.error())));
    if (::geteuid() != 0) SKIP("Nix builds without build users need root");
    bin_ = fs::path(lines(found->output).at(0)).parent_path();
    options_ = {"--option", "sandbox", "false", "--option", "substituters", "", "--option", "build-users-group", ""};
    // Debian's later versions have a hook that starts itself by name, and a sandbox shell that this machine does not have.
    if (suite != "bookworm") options_.insert(options_.end(), {"--option", "build-hook", "", "--option", "sandbox-paths", ""});
}

std::string Nix::configuration() const {
    std::string text;
    for (size_t i = 0; i + 2 < options_.size(); i += 3) text += options_[i + 1] + " = " + options_[i + 2] + "\n";
    return text;
}

std::vector<std::string> Nix::argv(const std::string &tool, const std::string &store, std::vector<std::string> words) const {
    // In a new PID namespace, because --gc inspects the descriptors of all processes and fails on unusual ones.
    std::vector<std::string> all{"unshare", "--pid", "--fork", "--mount-proc", bin_ + "/" + tool, "--store", store};
    all.insert(all.end(), options_.begin(), options_.end());
    all.insert(all.end(), words.begin(), words.end());
    return all;
}

std::string Nix::operator()(const std::string &tool, const std::string &store, std::vector<std::string> words) const {
    const auto exit =
        base::run({.argv = argv(tool, store, std::move(words)), .capture_output = true, .output_limit_bytes = size_t{64} << 20});
    REQUIRE(exit);
    INFO(tool << ": " << exit->output);
    REQUIRE(exit->status == 0);
    std::string text = exit->output;
    // Without a group of builders Nix prints a warning on the same stream.
    if (text.starts_with("warning:")) text.erase(0, text.find('\n') + 1);
    return text;
}

int Nix::status(const std::string &tool, const std::string &store, std::vector<std::string> words,
                const std::string &input) const {
    const std::string file = store + ".input";
    REQUIRE(base::replace_file(file, input));
    const auto standard_input = base::open_at(AT_FDCWD, file, O_RDONLY);
    REQUIRE(standard_input);
    fs::remove(file);
    const auto exit =
        base::run({.argv = argv(tool, store, std::move(words)), .standard_input = standard_input->get(), .capture_output = true});
    REQUIRE(exit);
    return exit->status;
}

}  // namespace nix_test

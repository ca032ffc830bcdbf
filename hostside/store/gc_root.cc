#include "hostside/store/gc_root.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <format>
#include <utility>

#include "hostside/base/cache.h"
#include "hostside/base/last_line.h"
#include "hostside/base/printable.h"
#include "hostside/base/program_path.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

using base::fail;
using base::Fd;
using base::Result;

constexpr std::string_view keeping = "keep from the garbage collector";
constexpr std::string_view suffix = "/nix/store";

// Nix's gc.cc: whoever holds this shared knows that no collector runs, and that one that begins reads what was written before.
bool no_collector_runs(const Fd &lock) { return lock && ::flock(lock.get(), LOCK_SH | LOCK_NB) == 0; }

// Nix's local-store.cc, createTempRootsFile. Empty: not ours to write, or another's by that number in another namespace.
Fd temporary_roots(const std::string &path) {
    Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) < 0) return {};
    struct stat st{};
    // A collector that had it first has unlinked it.
    if (::fstat(file.get(), &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink == 0 || ::ftruncate(file.get(), 0) < 0) return {};
    return file;
}

// `link`, and for more than one path `link`-2 and so on.
Result<> indirect_root(const std::string &root, const std::vector<std::string> &paths, const std::string &link) {
    if (programs_named("nix-store").empty())
        return fail(0, keeping, paths.front(), "nix-store, which makes a root, is not in PATH");
    std::vector<std::string> argv{"nix-store"};
    if (!root.empty()) argv.insert(argv.end(), {"--store", root});
    argv.insert(argv.end(), {"--realise", "--add-root", link, "--indirect"});
    argv.insert(argv.end(), paths.begin(), paths.end());
    const auto exit = base::run({.argv = argv, .capture_output = true, .dies_with_parent = true});
    if (!exit) return std::unexpected(exit.error());
    if (exit->status == 0) return {};
    return fail(0, keeping, paths.front(),
                std::format("nix-store ended with {}: {}", exit->status, printable(last_line(exit->output))));
}

std::string root_of(const std::string &store) { return store.substr(0, store.size() - suffix.size()); }

bool has_nix(const std::string &store) { return ::access((root_of(store) + "/nix/var/nix").c_str(), F_OK) == 0; }

// As nix-store names them. That its directory of roots has them too is not looked at: only a collector takes them there, once
// the link here is gone.
bool links_are_there(const std::string &link, const std::vector<std::string> &paths) {
    std::error_code error;
    for (size_t i = 0; i < paths.size(); ++i)
        if (const auto name = i == 0 ? link : std::format("{}-{}", link, i + 1);
            std::filesystem::read_symlink(name, error) != paths[i])
            return false;
    return true;
}

}  // namespace

GcRoot &GcRoot::operator=(GcRoot &&other) noexcept {
    std::swap(path_, other.path_);
    std::swap(file_, other.file_);
    std::swap(added_, other.added_);
    return *this;
}

GcRoot::~GcRoot() {
    if (file_) (void)::unlink(path_.c_str());  // else the next collector does
}

Result<GcRoot> GcRoot::hold(const std::string &store, const std::vector<std::string> &paths, const std::string &run_directory) {
    GcRoot root;
    if (!store.ends_with(suffix) || paths.empty()) return root;
    if (!has_nix(store)) return root;
    const std::string state = root_of(store) + "/nix/var/nix";
    const Fd collector(::open((state + "/gc.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    const std::string path = std::format("{}/temproots/{}", state, ::getpid());
    if (no_collector_runs(collector))
        if (Fd file = temporary_roots(path)) {
            std::string text;
            for (const auto &one : paths) text.append(one) += '\0';
            auto wrote = base::write_all(file.get(), text, path);
            root.path_ = path;
            root.file_ = std::move(file);
            return wrote ? Result<GcRoot>(std::move(root)) : std::unexpected(wrote.error());
        }
    auto held = indirect_root(root_of(store), paths, run_directory + "/gc-root");
    return held ? Result<GcRoot>(std::move(root)) : std::unexpected(held.error());
}

Result<> GcRoot::add(const std::string &store, const std::string &path, const std::string &run_directory) {
    if (!store.ends_with(suffix) || !has_nix(store)) return {};
    const std::string state = root_of(store) + "/nix/var/nix";
    // A collector that runs has read the file already.
    const Fd collector(::open((state + "/gc.lock").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (file_ && path_.starts_with(state + "/") && no_collector_runs(collector))
        return base::write_all(file_.get(), path + std::string(1, '\0'), path_);
    return indirect_root(root_of(store), {path}, std::format("{}/gc-root-file-{}", run_directory, ++added_));
}

Result<> hold_for_image(const std::string &store, const std::vector<std::string> &paths, const std::string &image) {
    if (!store.ends_with(suffix) || paths.empty() || !has_nix(store)) return {};
    // One image may be made of the closures of several stores.
    const std::string root = root_of(store), link = image + ".root" + (root.empty() ? "" : short_hash(root));
    if (links_are_there(link, paths)) return {};
    return indirect_root(root, paths, link);
}

}  // namespace hostside

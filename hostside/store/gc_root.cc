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

// As in Nix's gc.cc: while this shared lock is held, no collector runs, and a later one reads what was written before.
bool no_collector_runs(const Fd &lock) { return lock && ::flock(lock.get(), LOCK_SH | LOCK_NB) == 0; }

// As in Nix's local-store.cc, createTempRootsFile. Empty: we cannot write it, or a process in another namespace has the same
// PID.
Fd temporary_roots(const std::string &path) {
    Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) < 0) return {};
    struct stat st{};
    // A collector that locked it first has unlinked it.
    if (::fstat(file.get(), &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink == 0 || ::ftruncate(file.get(), 0) < 0) return {};
    return file;
}

// Creates `link`, and for further paths `link`-2 and so on.
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

// Checks the links that nix-store creates. Does not check Nix's directory of roots, because a collector removes entries there
// only after the link here is gone.
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
    if (file_) (void)::unlink(path_.c_str());  // otherwise the next collector does
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
    // A running collector has already read the file.
    const Fd collector(::open((state + "/gc.lock").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (file_ && path_.starts_with(state + "/") && no_collector_runs(collector))
        return base::write_all(file_.get(), path + std::string(1, '\0'), path_);
    return indirect_root(root_of(store), {path}, std::format("{}/gc-root-file-{}", run_directory, ++added_));
}

Result<> hold_for_image(const std::string &store, const std::vector<std::string> &paths, const std::string &image) {
    if (!store.ends_with(suffix) || paths.empty() || !has_nix(store)) return {};
    // Several stores may have the closure of one image.
    const std::string root = root_of(store), link = image + ".root" + (root.empty() ? "" : short_hash(root));
    if (links_are_there(link, paths)) return {};
    return indirect_root(root, paths, link);
}

}  // namespace hostside

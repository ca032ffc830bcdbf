#include "hostside/store/gc_root.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <format>
#include <utility>

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

Result<> indirect_root(const std::string &root, const std::vector<std::string> &paths, const std::string &run_directory) {
    std::vector<std::string> argv{"nix-store"};
    if (!root.empty()) argv.insert(argv.end(), {"--store", root});
    argv.insert(argv.end(), {"--realise", "--add-root", run_directory + "/gc-root", "--indirect"});
    argv.insert(argv.end(), paths.begin(), paths.end());
    const auto exit = base::run({.argv = argv, .capture_output = true, .dies_with_parent = true});
    if (!exit) return std::unexpected(exit.error());
    if (exit->status == 0) return {};
    return fail(0, keeping, paths.front(),
                std::format("nix-store ended with {}: {}", exit->status, printable(last_line(exit->output))));
}

}  // namespace

GcRoot &GcRoot::operator=(GcRoot &&other) noexcept {
    std::swap(path_, other.path_);
    std::swap(file_, other.file_);
    return *this;
}

GcRoot::~GcRoot() {
    if (file_) (void)::unlink(path_.c_str());  // else the next collector does
}

Result<GcRoot> GcRoot::hold(const std::string &store, const std::vector<std::string> &paths, const std::string &run_directory) {
    GcRoot root;
    if (!store.ends_with(suffix) || paths.empty()) return root;
    const std::string prefix = store.substr(0, store.size() - suffix.size());
    const std::string state = prefix + "/nix/var/nix";
    if (::access(state.c_str(), F_OK) < 0) return root;
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
    if (programs_named("nix-store").empty())
        return fail(0, keeping, path, "it can't be written, and nix-store is not in PATH to make a root through the daemon");
    auto held = indirect_root(prefix, paths, run_directory);
    return held ? Result<GcRoot>(std::move(root)) : std::unexpected(held.error());
}

}  // namespace hostside

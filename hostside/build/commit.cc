#include "hostside/build/commit.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <set>
#include <vector>

#include "hostside/base/last_line.h"
#include "hostside/base/printable.h"
#include "hostside/base/program_path.h"
#include "hostside/build/fetch.h"
#include "hostside/host/guest_files.h"
#include "hostside/nix/order.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "mounts/nix/nar.h"
#include "mounts/nix/registration.h"
#include "mounts/nix/sha256.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
using Infos = std::vector<mounts::PathInfo>;
using Tell = std::function<void(const std::string &)>;

constexpr std::string_view committing = "commit";
constexpr std::string_view suffix = "/nix/store";

std::string name_of(const std::string &path) { return path.substr(mounts::store_prefix.size()); }

// A guest wrote the list; the reader refuses invalid store paths.
Result<Infos> in_order(const std::string &text) {
    mounts::RegistrationReader reader(std::string_view(text), "the guest's list");
    nixdb::Paths paths;
    for (mounts::PathInfo info;;) {
        auto more = reader.next(info);
        if (!more) return std::unexpected(more.error());
        if (!*more) break;
        if (const auto fault = mounts::store_path_fault(info.path); !fault.empty())
            return fail(0, committing, printable(info.path), std::string(fault));
        paths[info.path] = info;
    }
    // Other references must be paths of the host, whose nix-store checks that they exist.
    nixdb::Paths among = paths;
    for (auto &[path, info] : among)
        std::erase_if(info.references, [&](const std::string &reference) { return !paths.contains(reference); });
    auto order = nixdb::topological_order(std::move(among));
    if (!order) return order;
    for (auto &info : *order) info.references = paths[info.path].references;
    return order;
}

// The nix-store command, with its root unless the store is the host's own.
Result<std::vector<std::string>> nix_store(const std::string &store) {
    if (!store.ends_with(suffix)) return fail(0, committing, store, "a store's path must be ROOT/nix/store");
    if (programs_named("nix-store").empty())
        return fail(0, committing, "nix-store", "it is not in PATH, but it must import the paths");
    std::vector<std::string> argv{"nix-store"};
    if (store.size() > suffix.size()) argv.insert(argv.end(), {"--store", store.substr(0, store.size() - suffix.size())});
    return argv;
}

Result<base::Exit> run_nix_store(const std::string &store, const std::vector<std::string> &words, int input = -1) {
    auto argv = nix_store(store);
    if (!argv) return std::unexpected(argv.error());
    argv->insert(argv->end(), words.begin(), words.end());
    auto exit = base::run({.argv = *argv, .standard_input = input, .capture_output = true, .dies_with_parent = true});
    if (exit && exit->status != 0)
        return fail(0, committing, store,
                    std::format("nix-store ended with {}: {}", exit->status, printable(last_line(exit->output))));
    return exit;
}

// The paths that the host lacks. Asks in batches because a command line is limited in length.
Result<Infos> absent_from(const std::string &store, Infos infos) {
    constexpr size_t at_once = 1000;
    std::set<std::string> absent;
    for (size_t begin = 0; begin < infos.size(); begin += at_once) {
        std::vector<std::string> words{"--check-validity", "--print-invalid"};
        for (size_t i = begin; i < std::min(infos.size(), begin + at_once); ++i) words.push_back(infos[i].path);
        const auto exit = run_nix_store(store, words);
        if (!exit) return std::unexpected(exit.error());
        for (size_t at = 0; at < exit->output.size();) {
            const size_t end = std::min(exit->output.find('\n', at), exit->output.size());
            absent.insert(exit->output.substr(at, end - at));
            at = end + 1;
        }
    }
    std::erase_if(infos, [&](const mounts::PathInfo &info) { return !absent.contains(info.path); });
    return infos;
}

// A private directory that is removed with this object.
struct Workplace {
    std::string path;
    base::Fd stream;  // input for nix-store
    Workplace() = default;
    Workplace(Workplace &&other) noexcept : path(std::exchange(other.path, "")), stream(std::move(other.stream)) {}
    Workplace &operator=(Workplace &&) = delete;
    Workplace(const Workplace &) = delete;
    Workplace &operator=(const Workplace &) = delete;
    ~Workplace() {
        if (!path.empty()) (void)remove_guest_directory(path);
    }
};

Result<Workplace> make_workplace() {
    const char *temporary = std::getenv("TMPDIR");
    std::string pattern = std::format("{}/runvm-commit.XXXXXX", temporary != nullptr && *temporary != '\0' ? temporary : "/tmp");
    if (::mkdtemp(pattern.data()) == nullptr) return fail(errno, committing, pattern);
    Workplace place;
    place.path = pattern;
    auto stream = base::open_at(AT_FDCWD, pattern + "/export", O_RDWR | O_CREAT | O_EXCL, 0600);
    if (!stream) return std::unexpected(stream.error());
    place.stream = std::move(*stream);
    return place;
}

// Nix's export format (libstore/export-import.cc): little-endian numbers of 64 bits, texts padded to eight bytes.
void add_number(std::string &to, uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) to += static_cast<char>(number >> shift & 0xff);
}
void add_text(std::string &to, std::string_view text) {
    add_number(to, text.size());
    to += text;
    to.append((8 - text.size() % 8) % 8, '\0');
}

// The data after a path's NAR.
std::string trailer_of(const mounts::PathInfo &info) {
    constexpr uint64_t export_magic = 0x4558494e;
    std::string text;
    add_number(text, export_magic);
    add_text(text, info.path);
    add_number(text, info.references.size());
    for (const auto &reference : info.references) add_text(text, reference);
    add_text(text, info.deriver);
    add_number(text, 0);  // no signature
    return text;
}

// Appends the tree's NAR to the stream and hashes it at the same time, so that exactly the compared bytes are imported.
Result<> append_path(const Workplace &place, const mounts::PathInfo &info, const std::string &tree) {
    constexpr size_t chunk_bytes = size_t{1} << 20;
    std::string chunk;
    add_number(chunk, 1);
    mounts::Sha256Stream hash;
    Result<> wrote;
    auto archived = mounts::write_nar(tree, [&](std::string_view bytes) {
        hash.add(bytes);
        chunk += bytes;
        if (chunk.size() < chunk_bytes) return;
        if (wrote) wrote = base::write_all(place.stream.get(), chunk, place.path);
        chunk.clear();
    });
    if (!archived) return archived;
    if (!wrote) return wrote;
    if (const auto is = hash.finish(); is != info.hash)
        return fail(
            0, committing, info.path,
            std::format("its NAR hash is {}, but the guest's Nix registered {}: the path has changed since; nothing is imported",
                        mounts::nix32(is), mounts::nix32(info.hash)));
    return base::write_all(place.stream.get(), chunk + trailer_of(info), place.path);
}

Result<> fetch_all(const ExecWish &machine, const CommitWish &wish, const Infos &infos, const Workplace &place) {
    Allowance allowance(wish.most_bytes);
    for (const auto &info : infos) {
        const std::string tree = place.path + "/" + name_of(info.path);
        if (auto hash = fetch_tree(machine, info.path, tree, false, allowance); !hash) return std::unexpected(hash.error());
        if (auto appended = append_path(place, info, tree); !appended) return appended;
        if (auto removed = remove_guest_directory(tree); !removed) return removed;
    }
    std::string end;
    add_number(end, 0);
    return base::write_all(place.stream.get(), end, place.path);
}

}  // namespace

Result<> commit_new_paths(const ExecWish &machine, const CommitWish &wish, const Tell &tell) {
    constexpr size_t list_limit_bytes = size_t{64} << 20;
    if (auto there = nix_store(wish.store); !there) return std::unexpected(there.error());
    const auto text = run_task(machine, "store-new", "", list_limit_bytes);
    if (!text) return std::unexpected(text.error());
    // run_task() strips trailing newlines, but each line of a registration needs one.
    auto infos = in_order(text->empty() ? "" : *text + "\n");
    if (infos) infos = absent_from(wish.store, std::move(*infos));
    if (!infos) return std::unexpected(infos.error());
    if (infos->empty()) return tell("the machine has added nothing that the host's store lacks"), Result<>{};
    uint64_t bytes = 0;
    for (const auto &info : *infos) {
        bytes += info.nar_size;
        if (wish.dry_run) tell(std::format("{}, {} bytes", info.path, info.nar_size));
    }
    if (wish.dry_run) return {};
    const auto place = make_workplace();
    if (!place) return std::unexpected(place.error());
    if (auto fetched = fetch_all(machine, wish, *infos, *place); !fetched) return fetched;
    if (::lseek(place->stream.get(), 0, SEEK_SET) < 0) return fail(errno, committing, place->path);
    if (auto exit = run_nix_store(wish.store, {"--import"}, place->stream.get()); !exit) return std::unexpected(exit.error());
    for (const auto &info : *infos) tell(info.path);
    tell(std::format("{} paths, {} bytes, are in {}; nix-store --gc deletes those without a root", infos->size(), bytes,
                     wish.store));
    return {};
}

}  // namespace hostside

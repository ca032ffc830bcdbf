#include "hostside/nix/valid_paths.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "hostside/nix/open_database.h"
#include "hostside/nix/order.h"
#include "mounts/nix/registration.h"

namespace hostside::nixdb {

namespace {

using base::Result;

constexpr std::string_view derivation_suffix = ".drv";

Result<ValidPaths> paths_in(mounts::Database &database) {
    ValidPaths paths;
    auto rows = database.prepare("select id, path from ValidPaths");
    if (!rows) return std::unexpected(rows.error());
    for (;;) {
        const auto more = rows->step();
        if (!more) return std::unexpected(more.error());
        if (!*more) return paths;
        const std::string path(rows->text(1));
        if (!path.ends_with(derivation_suffix) && mounts::store_path_fault(path).empty()) paths.emplace(rows->integer(0), path);
    }
}

class NewPaths {
  public:
    explicit NewPaths(mounts::Database &database) : database_(database) {}

    Result<Paths> of(const ValidPaths &all, const ValidPaths &known) {
        auto info = database_.prepare("select hash, narSize, deriver from ValidPaths where id = ?");
        auto references = database_.prepare(
            "select v.path from Refs r join ValidPaths v on v.id = r.reference where r.referrer = ? order by v.path");
        if (!info || !references) return std::unexpected(info ? references.error() : info.error());
        Paths found;
        for (const auto &[id, path] : all) {
            if (known.contains(id)) continue;
            auto read = read_row(*info, *references, id, path);
            if (!read) return std::unexpected(read.error());
            const bool complete = std::ranges::none_of(
                read->references, [](const std::string &reference) { return reference.ends_with(derivation_suffix); });
            if (complete && read->nar_size != 0) found.emplace(path, std::move(*read));
        }
        return found;
    }

  private:
    static Result<mounts::PathInfo> read_row(mounts::Statement &info, mounts::Statement &references, int64_t id,
                                             const std::string &path) {
        mounts::PathInfo result{.path = path};
        auto row = info.bind(1, id).step();
        if (!row) return std::unexpected(row.error());
        const auto hash = *row ? mounts::parse_hash(info.text(0)) : std::nullopt;
        // One without is no use to a guest, which is to take it unseen.
        if (hash) {
            result.hash = *hash;
            result.nar_size = static_cast<uint64_t>(info.integer(1));
            result.deriver = info.text(2);
        }
        info.reset();
        references.bind(1, id);
        for (;;) {
            row = references.step();
            if (!row) return std::unexpected(row.error());
            if (!*row) break;
            result.references.emplace_back(references.text(0));
        }
        references.reset();
        return result;
    }

    mounts::Database &database_;
};

// References to what is not among them count for nothing in the order.
Result<std::string> in_order(const Paths &paths) {
    Paths inner = paths;
    for (auto &[path, info] : inner)
        std::erase_if(info.references, [&](const std::string &reference) { return !paths.contains(reference); });
    const auto ordered = topological_order(std::move(inner));
    if (!ordered) return std::unexpected(ordered.error());
    std::string text;
    for (const auto &info : *ordered) print(text, paths.at(info.path), mounts::RegistrationFormat::dump_db);
    return text;
}

}  // namespace

Result<Snapshot> snapshot(const std::string &database, const ValidPaths &known) {
    auto handle = open_database(database);
    if (!handle) return std::unexpected(handle.error());
    // One view for all queries, whatever others commit meanwhile.
    if (auto begun = handle->execute("begin"); !begun) return std::unexpected(begun.error());
    Snapshot result;
    auto all = paths_in(*handle);
    if (!all) return std::unexpected(all.error());
    result.paths = std::move(*all);
    const auto fresh = NewPaths(*handle).of(result.paths, known);
    if (!fresh) return std::unexpected(fresh.error());
    auto text = in_order(*fresh);
    if (!text) return std::unexpected(text.error());
    result.registration = std::move(*text);
    return result;
}

}  // namespace hostside::nixdb

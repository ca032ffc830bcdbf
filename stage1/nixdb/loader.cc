#include "stage1/nixdb/loader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <format>

#include "mounts/base/at.h"
#include "stage1/nixdb/derivation.h"

namespace stage1::nixdb {

namespace {

constexpr size_t derivation_limit_bytes = size_t{64} << 20;
constexpr size_t lines_before_references = 5;  // path, hash, size, deriver, count

bool known(const mounts::Sha256 &hash) {
    return std::ranges::any_of(hash, [](unsigned char byte) { return byte != 0; });
}

}  // namespace

base::Result<Loader> Loader::prepare(mounts::Database &database, int root, bool fresh) {
    Loader loader(database, root, fresh);
    loader.now_ = ::time(nullptr);
    const auto statement = [&](mounts::Statement &target, std::string_view sql) -> base::Result<> {
        return database.prepare(sql).transform([&](mounts::Statement made) { target = std::move(made); });
    };
    for (const auto &[target, sql] : {
             std::pair{&loader.find_, "select id, hash, narSize from ValidPaths where path = ?"},
             std::pair{&loader.update_, "update ValidPaths set hash = ?, narSize = coalesce(?, narSize) where id = ?"},
             std::pair{&loader.insert_,
                       "insert into ValidPaths (id, path, hash, registrationTime, deriver, narSize) values (?, ?, ?, ?, ?, ?)"},
             std::pair{&loader.output_, "insert or replace into DerivationOutputs (drv, id, path) values (?, ?, ?)"},
             std::pair{&loader.reference_, "insert or ignore into Refs (referrer, reference) values (?, ?)"},
         })
        if (auto made = statement(*target, sql); !made) return std::unexpected(made.error());
    return loader;
}

base::Result<> Loader::load(int fd, const std::string &name) {
    mounts::RegistrationReader reader(fd, name);
    mounts::PathInfo info;
    for (;;) {
        auto more = reader.next(info);
        if (!more) return std::unexpected(more.error());
        if (!*more) break;
        if (auto added = add(info); !added) return added;
    }
    if (std::ranges::contains(row_, 0))
        if (auto resolved = resolve(fd, name); !resolved) return resolved;
    std::ranges::sort(edges_);
    const auto [first, last] = std::ranges::unique(edges_);
    edges_.erase(first, last);
    if (auto acyclic = refuse_cycle(); !acyclic) return acyclic;
    return insert_references();
}

base::Result<> Loader::add(const mounts::PathInfo &info) {
    const uint32_t number = index_.of(info.path);
    if (row_.size() < index_.size()) row_.resize(index_.size());
    if (paths_++ == 0) first_path_ = info.path;
    int64_t id = row_[number];
    if (!fresh_ || id != 0) {
        auto there = update(info);
        if (!there) return std::unexpected(there.error());
        id = *there;
    }
    if (id == 0) {
        if (auto inserted = insert(info, fresh_ ? int64_t{number} + 1 : 0); !inserted) return inserted;
        id = database_->last_id();
        if (info.path.ends_with(".drv"))
            if (auto outputs = add_outputs(info, id); !outputs) return outputs;
    }
    row_[number] = id;
    if (registered_.size() <= static_cast<size_t>(id)) registered_.resize(static_cast<size_t>(id) + 1);
    registered_[static_cast<size_t>(id)] = true;
    for (const auto &reference : info.references) edges_.push_back(uint64_t{number} << 32 | index_.of(reference));
    row_.resize(index_.size());
    return {};
}

base::Result<int64_t> Loader::update(const mounts::PathInfo &info) {
    auto row = find_.bind(1, info.path).step();
    if (!row) return std::unexpected(row.error());
    if (!*row) {
        find_.reset();
        return 0;
    }
    const int64_t id = find_.integer(0);
    const std::string hash = "sha256:" + mounts::base16(info.hash);
    const bool same = find_.text(1) == hash && (info.nar_size == 0 || find_.integer(2) == static_cast<int64_t>(info.nar_size));
    find_.reset();
    if (same || !known(info.hash)) return id;
    update_.bind(1, hash).bind(3, id);
    if (info.nar_size == 0)
        update_.bind_null(2);
    else
        update_.bind(2, static_cast<int64_t>(info.nar_size));
    if (auto updated = update_.run(); !updated) return std::unexpected(updated.error());
    ++updated_;
    return id;
}

base::Result<> Loader::insert(const mounts::PathInfo &info, int64_t id) {
    const std::string hash = "sha256:" + mounts::base16(info.hash);
    insert_.bind(2, info.path).bind(3, hash).bind(4, now_).bind(5, info.deriver).bind(6, static_cast<int64_t>(info.nar_size));
    if (id == 0)
        insert_.bind_null(1);
    else
        insert_.bind(1, id);
    if (info.deriver.empty()) insert_.bind_null(5);
    if (info.nar_size == 0) insert_.bind_null(6);
    ++added_;
    return insert_.run();
}

base::Result<> Loader::add_outputs(const mounts::PathInfo &info, int64_t id) {
    auto file = base::open_in_root(root_, info.path, O_RDONLY);
    auto text = file ? base::read_all(file->get(), info.path, derivation_limit_bytes) : std::unexpected(file.error());
    if (!text)
        return base::fail(text.error().code, "read derivation", info.path,
                          std::format("line {} registers it, and the database holds its outputs", info.line));
    const auto outputs = derivation_outputs(*text);
    if (!outputs) return base::fail(0, "read derivation", info.path, "it does not begin as a derivation does");
    for (const auto &[name, path] : *outputs)
        if (auto added = output_.bind(1, id).bind(2, name).bind(3, path).run(); !added) return added;
    return {};
}

// References that the text does not register: they must be in the database.
base::Result<> Loader::resolve(int fd, const std::string &name) {
    if (::lseek(fd, 0, SEEK_SET) < 0) return base::fail(errno, "read again", name, "the registration must be a regular file");
    mounts::RegistrationReader reader(fd, name);
    mounts::PathInfo info;
    for (;;) {
        auto more = reader.next(info);
        if (!more) return std::unexpected(more.error());
        if (!*more) return {};
        for (size_t i = 0; i < info.references.size(); ++i) {
            int64_t &row = row_[index_.of(info.references[i])];
            if (row != 0) continue;
            auto there = find_.bind(1, info.references[i]).step();
            if (!there) return std::unexpected(there.error());
            if (*there) row = find_.integer(0);
            find_.reset();
            if (row == 0)
                return base::fail(0, "register", name,
                                  std::format("line {}: reference '{}' of '{}' is neither registered here nor in the database",
                                              info.line + lines_before_references + i, info.references[i], info.path));
        }
    }
}

// Takes away what nothing refers to, again and again (Kahn). What is left has a cycle in it or below it.
base::Result<> Loader::refuse_cycle() {
    const auto referrer = [](uint64_t edge) { return static_cast<uint32_t>(edge >> 32); };
    const auto reference = [](uint64_t edge) { return static_cast<uint32_t>(edge); };
    std::vector<uint32_t> referrers(index_.size());
    for (const uint64_t edge : edges_)
        if (referrer(edge) != reference(edge)) ++referrers[reference(edge)];
    std::vector<uint32_t> ready;
    for (uint32_t n = 0; n < referrers.size(); ++n)
        if (referrers[n] == 0) ready.push_back(n);
    size_t done = 0;
    while (!ready.empty()) {
        const uint32_t n = ready.back();
        ready.pop_back();
        ++done;
        for (auto edge = std::ranges::lower_bound(edges_, uint64_t{n} << 32); edge != edges_.end() && referrer(*edge) == n;
             ++edge)
            if (reference(*edge) != n && --referrers[reference(*edge)] == 0) ready.push_back(reference(*edge));
    }
    if (done == index_.size()) return {};
    const auto left = std::ranges::find_if(referrers, [](uint32_t count) { return count != 0; });
    auto statement = database_->prepare("select path from ValidPaths where id = ?");
    if (!statement) return std::unexpected(statement.error());
    auto row = statement->bind(1, row_[static_cast<size_t>(left - referrers.begin())]).step();
    if (!row) return std::unexpected(row.error());
    return base::fail(0, "register", statement->text(0), "it is in a cycle of references, or below one; no store has that");
}

base::Result<> Loader::insert_references() {
    for (const uint64_t edge : edges_)
        if (auto added = reference_.bind(1, row_[edge >> 32]).bind(2, row_[static_cast<uint32_t>(edge)]).run(); !added)
            return added;
    return {};
}

}  // namespace stage1::nixdb

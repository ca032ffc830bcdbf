#include "stage1/nixdb/loader.h"

#include <algorithm>
#include <ctime>

#include "stage1/nixdb/derivation.h"
#include "stage1/nixdb/schema.h"

namespace stage1::nixdb {

namespace {

void bind_size(mounts::Statement &statement, int index, uint64_t nar_size) {
    if (nar_size == 0)
        statement.bind_null(index);
    else
        statement.bind(index, static_cast<int64_t>(nar_size));
}

bool differs(const RegisteredClosure::Entry &entry, std::string_view hash, uint64_t nar_size) {
    if (entry.content == 0) return false;  // unknown to the registration
    const auto parsed = mounts::parse_hash(hash);
    return !parsed || RegisteredClosure::content_of(*parsed, entry.size_known ? nar_size : 0) != entry.content;
}

}  // namespace

base::Result<> Loader::load() {
    if (auto compared = compare_paths(); !compared) return compared;
    std::vector<bool> known(rows_.size());
    std::ranges::transform(rows_, known.begin(), [](int64_t row) { return row != 0; });
    return closure_->refuse_unknown_references(known)
        .and_then([&] { return update_paths(); })
        .and_then([&] { return insert_paths(); })
        .and_then([&] { return load_references(); });
}

base::Result<> Loader::compare_paths() {
    rows_.resize(closure_->paths().size());
    auto rows = database_->prepare("select id, path, hash, narSize from ValidPaths");
    if (!rows) return std::unexpected(rows.error());
    for (;;) {
        const auto row = rows->step();
        if (!row) return std::unexpected(row.error());
        if (!*row) return {};
        const int64_t id = rows->integer(0);
        last_row_ = std::max(last_row_, id);
        const auto number = closure_->paths().find(rows->text(1));
        if (number) rows_[*number] = id;
        const uint32_t rank = number ? closure_->rank(*number) : 0;
        if (rank == 0)
            others_.push_back(id);
        else if (differs(closure_->entries()[rank - 1], rows->text(2), static_cast<uint64_t>(rows->integer(3))))
            changed_.push_back(rank);
    }
}

base::Result<> Loader::update_paths() {
    if (changed_.empty()) return {};
    auto update = database_->prepare("update ValidPaths set hash = ?, narSize = coalesce(?, narSize) where id = ?");
    if (!update) return std::unexpected(update.error());
    auto text = closure_->reader();
    mounts::PathInfo info;
    for (const uint32_t rank : changed_) {
        const RegisteredClosure::Entry &entry = closure_->entries()[rank - 1];
        if (auto read = closure_->read_header(text, entry, info); !read) return read;
        const std::string hash = database_hash(info.hash);
        bind_size(update->bind(1, hash).bind(3, rows_[entry.number]), 2, info.nar_size);
        if (auto updated = update->run(); !updated) return updated;
        ++updated_;
    }
    return {};
}

base::Result<> Loader::insert_paths() {
    const auto missing = [&](const RegisteredClosure::Entry &entry) { return rows_[entry.number] == 0; };
    if (std::ranges::none_of(closure_->entries(), missing)) return {};
    auto insert = database_->prepare(
        "insert into ValidPaths (path, hash, registrationTime, deriver, narSize) values (?, ?, ?, nullif(?, ''), ?)");
    auto output = database_->prepare("insert or replace into DerivationOutputs (drv, id, path) values (?, ?, ?)");
    if (!insert || !output) return std::unexpected(insert ? output.error() : insert.error());
    auto text = closure_->reader();
    mounts::PathInfo info;
    const int64_t now = ::time(nullptr);
    for (const RegisteredClosure::Entry &entry : closure_->entries()) {
        if (!missing(entry)) continue;
        if (auto read = closure_->read_header(text, entry, info); !read) return read;
        const std::string hash = database_hash(info.hash);
        bind_size(insert->bind(1, info.path).bind(2, hash).bind(3, now).bind(4, info.deriver), 5, info.nar_size);
        if (auto inserted = insert->run(); !inserted) return inserted;
        const int64_t id = database_->last_id();
        rows_[entry.number] = id;
        ++added_;
        if (!info.path.ends_with(".drv")) continue;
        const auto outputs = read_outputs(root_, info.path);
        if (!outputs) return std::unexpected(outputs.error());
        for (const auto &[name, path] : *outputs)
            if (auto added = output->bind(1, id).bind(2, name).bind(3, path).run(); !added) return added;
    }
    return {};
}

std::vector<int64_t> Loader::reference_rows(const RegisteredClosure::Entry &entry) const {
    std::vector<int64_t> rows;
    for (const uint32_t number : closure_->references(entry)) rows.push_back(rows_[number]);
    std::ranges::sort(rows);
    return rows;
}

base::Result<> Loader::load_references() {
    std::vector<std::pair<int64_t, uint32_t>> rows;  // row, rank
    for (const auto &entry : closure_->entries()) rows.emplace_back(rows_[entry.number], closure_->rank(entry.number));
    if (!std::ranges::is_sorted(rows)) std::ranges::sort(rows);
    const auto missing = missing_references(rows);
    if (!missing) return std::unexpected(missing.error());
    if (missing->empty() && added_ == 0) return {};
    auto insert = database_->prepare("insert into Refs (referrer, reference) values (?, ?)");
    if (!insert) return std::unexpected(insert.error());
    const auto add = [&](int64_t referrer, int64_t reference) {
        ++references_added_;
        return insert->bind(1, referrer).bind(2, reference).run();
    };
    for (const auto &[referrer, reference] : *missing)
        if (auto added = add(referrer, reference); !added) return added;
    for (const auto &[row, rank] : rows) {
        if (row <= last_row_) continue;
        for (const int64_t reference : reference_rows(closure_->entries()[rank - 1]))
            if (auto added = add(row, reference); !added) return added;
    }
    return {};
}

// References that existing rows lack. Finds them in one pass over the table and the rows, both sorted.
base::Result<std::vector<Loader::Reference>> Loader::missing_references(const std::vector<std::pair<int64_t, uint32_t>> &rows) {
    std::vector<Reference> missing;
    auto table = database_->prepare("select referrer, reference from Refs order by referrer, reference");
    if (!table) return std::unexpected(table.error());
    Reference there{-1, 0};
    for (const auto &[row, rank] : rows) {
        if (row > last_row_) break;
        for (const int64_t reference : reference_rows(closure_->entries()[rank - 1])) {
            const Reference wanted{row, reference};
            while (there < wanted) {
                const auto more = table->step();
                if (!more) return std::unexpected(more.error());
                there = *more ? Reference{table->integer(0), table->integer(1)} : Reference{INT64_MAX, INT64_MAX};
            }
            if (there != wanted) missing.push_back(wanted);
        }
    }
    return missing;
}

}  // namespace stage1::nixdb

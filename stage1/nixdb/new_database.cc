#include "stage1/nixdb/new_database.h"

#include <algorithm>
#include <ctime>
#include <ranges>

#include "stage1/nixdb/derivation.h"
#include "stage1/nixdb/schema.h"
#include "stage1/nixdb/sqlite_file.h"

namespace stage1::nixdb {

namespace {

constexpr size_t references_at_once = 256 * 1024;  // for IndexReference; sorts them in one megabyte

struct Roots {
    uint32_t paths, paths_by_path, sequence, references, references_by_both, by_referrer, by_reference;
    uint32_t outputs, outputs_by_drv, outputs_by_path, migrations, migrations_by_name;
};

uint32_t empty(PageFile &file, Tree::Kind kind) { return Tree(file, kind).finish(); }

// Writes ValidPaths and DerivationOutputs with their indexes, row by row. The order of paths is also the order of row ids.
base::Result<> write_paths(PageFile &file, const RegisteredClosure &closure, int root, Roots &roots) {
    Tree paths(file, Tree::Kind::table), by_path(file, Tree::Kind::index);
    Tree outputs(file, Tree::Kind::table), by_drv(file, Tree::Kind::index), by_output(file, Tree::Kind::index);
    std::vector<std::pair<std::string, int64_t>> output_rows;  // path, row
    auto text = closure.reader();
    mounts::PathInfo info;
    Record record;
    const int64_t now = ::time(nullptr);
    int64_t id = 0;
    for (const RegisteredClosure::Entry &entry : closure.entries()) {
        if (auto read = closure.read_header(text, entry, info); !read) return read;
        ++id;
        record.null().text(info.path).text(database_hash(info.hash)).integer(now);
        info.deriver.empty() ? record.null() : record.text(info.deriver);
        info.nar_size == 0 ? record.null() : record.integer(static_cast<int64_t>(info.nar_size));
        paths.add(id, record.null().null().null().take());  // ultimate, sigs, ca
        by_path.add(record.text(info.path).integer(id).take());
        if (!info.path.ends_with(".drv")) continue;
        const auto named = read_outputs(root, info.path);
        if (!named) return std::unexpected(named.error());
        for (const auto &[name, path] : *named) {
            const auto row = static_cast<int64_t>(output_rows.size() + 1);
            outputs.add(row, record.integer(id).text(name).text(path).take());
            by_drv.add(record.integer(id).text(name).integer(row).take());
            output_rows.emplace_back(path, row);
        }
    }
    std::ranges::sort(output_rows);
    for (const auto &[path, row] : output_rows) by_output.add(record.text(path).integer(row).take());
    roots.paths = paths.finish();
    roots.paths_by_path = by_path.finish();
    roots.outputs = outputs.finish();
    roots.outputs_by_drv = by_drv.finish();
    roots.outputs_by_path = by_output.finish();
    Tree sequence(file, Tree::Kind::table);
    if (id != 0) sequence.add(1, record.text("ValidPaths").integer(id).take());
    roots.sequence = sequence.finish();
    return {};
}

// Writes IndexReference: the rows of Refs sorted by reference, a limited number of references at a time.
uint32_t write_by_reference(PageFile &file, const RegisteredClosure &closure) {
    Tree tree(file, Tree::Kind::index);
    Record record;
    std::vector<uint32_t> ends(closure.entries().size() + 1);  // by rank: the number of referring rows, later their end
    for (const auto &entry : closure.entries())
        for (const uint32_t number : closure.references(entry)) ++ends[closure.rank(number)];
    for (uint32_t first = 1; first < ends.size();) {
        uint32_t limit = first, count = 0;
        while (limit < ends.size() && (limit == first || count + ends[limit] <= references_at_once)) count += ends[limit++];
        std::vector<uint32_t> rows(count);
        for (uint32_t rank = first, end = 0; rank < limit; ++rank) {
            const uint32_t begin = end;
            end += ends[rank];
            ends[rank] = begin;
        }
        uint32_t row = 0;
        for (const auto &entry : closure.entries())
            for (const uint32_t number : closure.references(entry)) {
                ++row;
                const uint32_t rank = closure.rank(number);
                if (rank >= first && rank < limit) rows[ends[rank]++] = row;
            }
        for (uint32_t rank = first, at = 0; rank < limit; ++rank)
            for (; at < ends[rank]; ++at) tree.add(record.integer(rank).integer(rows[at]).take());
        first = limit;
    }
    return tree.finish();
}

void write_references(PageFile &file, const RegisteredClosure &closure, Roots &roots) {
    Tree references(file, Tree::Kind::table), by_both(file, Tree::Kind::index), by_referrer(file, Tree::Kind::index);
    Record record;
    std::vector<std::pair<uint32_t, int64_t>> rows;  // reference's id, row
    int64_t row = 0;
    for (const auto &entry : closure.entries()) {
        const int64_t referrer = closure.rank(entry.number);
        rows.clear();
        for (const uint32_t number : closure.references(entry)) {
            rows.emplace_back(closure.rank(number), ++row);
            references.add(row, record.integer(referrer).integer(rows.back().first).take());
            by_referrer.add(record.integer(referrer).integer(row).take());
        }
        std::ranges::sort(rows);
        for (const auto &[reference, at] : rows) by_both.add(record.integer(referrer).integer(reference).integer(at).take());
    }
    roots.references = references.finish();
    roots.references_by_both = by_both.finish();
    roots.by_referrer = by_referrer.finish();
    roots.by_reference = write_by_reference(file, closure);
}

// Writes the table sqlite_master: each object and its first page.
base::Result<> write_schema(PageFile &file, const Roots &roots) {
    const uint32_t pages[] = {roots.paths,
                              roots.paths_by_path,
                              roots.sequence,
                              roots.references,
                              roots.references_by_both,
                              roots.by_referrer,
                              roots.by_reference,
                              0,
                              roots.outputs,
                              roots.outputs_by_drv,
                              roots.outputs_by_path,
                              roots.migrations,
                              roots.migrations_by_name};
    static_assert(std::size(pages) == std::size(schema_objects));
    Page leaf(Page::Kind::table_leaf, file_header_bytes);
    Record record;
    for (size_t i = 0; i < std::size(pages); ++i) {
        const SchemaObject &object = schema_objects[i];
        record.text(object.type).text(object.name).text(object.table).integer(pages[i]);
        object.sql.empty() ? record.null() : record.text(object.sql);
        if (!put_row(leaf, static_cast<int64_t>(i) + 1, record.take()))
            return base::fail(0, "register", object.name, "the schema does not fit on a page");
    }
    return file.finish(leaf);
}

}  // namespace

base::Result<> write_database(int fd, const std::string &name, const RegisteredClosure &closure, int root) {
    if (auto known = closure.refuse_unknown_references(std::vector<bool>(closure.paths().size())); !known) return known;
    PageFile file(fd, name);
    Roots roots{};
    if (auto written = write_paths(file, closure, root, roots); !written) return written;
    write_references(file, closure, roots);
    roots.migrations = empty(file, Tree::Kind::table);
    roots.migrations_by_name = empty(file, Tree::Kind::index);
    return write_schema(file, roots);
}

}  // namespace stage1::nixdb

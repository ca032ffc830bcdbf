#include "stage1/nixdb/register_live.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <format>
#include <set>

#include "mounts/base/at.h"
#include "mounts/nix/database.h"
#include "mounts/nix/registration.h"
#include "mounts/protocol.h"
#include "stage1/nixdb/loader.h"
#include "stage1/nixdb/reconcile.h"
#include "stage1/nixdb/registered_closure.h"
#include "stage1/nixdb/registration_file.h"
#include "stage1/nixdb/schema.h"
#include "stage1/nixdb/store_layers.h"

namespace stage1::nixdb {

namespace {

using base::fail;
using base::Fd;
using base::Result;

constexpr size_t forget_limit_bytes = size_t{16} << 20;

bool is_in(const Fd &directory, const std::string &name) {
    struct stat st{};
    return ::fstatat(directory.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

// As the host has it: what the guest made under the same name, a build's rest perhaps, hides it.
bool is_hosts(const Fd &store, const StoreLayers &layers, const std::string &path) {
    const std::string name = path.substr(mounts::store_prefix.size());
    return layers.upper ? is_in(layers.lower, name) && !is_in(layers.upper, name) : is_in(store, name);
}

// What of the registration may be loaded here, as a text of its own.
class Sieve {
  public:
    Sieve(mounts::Database &database, const Fd &store, const StoreLayers &layers)
        : database_(database), store_(store), layers_(layers) {}

    Result<std::string> loadable(int file, const std::string &name, LiveReport &report) {
        auto known = database_.prepare("select 1 from ValidPaths where path = ?");
        if (!known) return std::unexpected(known.error());
        known_ = std::move(*known);
        mounts::RegistrationReader reader(file, name);
        std::string text;
        for (mounts::PathInfo info;;) {
            const auto more = reader.next(info);
            if (!more) return std::unexpected(more.error());
            if (!*more) return text;
            ++report.paths;
            const auto good = may_be_loaded(info);
            if (!good) return std::unexpected(good.error());
            if (!*good) {
                ++report.unseen;
                continue;
            }
            taken_.insert(info.path);
            print(text, info, mounts::RegistrationFormat::dump_db);
        }
    }

  private:
    Result<bool> may_be_loaded(const mounts::PathInfo &info) {
        if (!is_hosts(store_, layers_, info.path)) return false;
        for (const auto &reference : info.references) {
            if (reference == info.path || taken_.contains(reference)) continue;
            const auto there = known_.bind(1, reference).step();
            if (!there) return there;
            known_.reset();
            if (!*there) return false;
        }
        return true;
    }

    mounts::Database &database_;
    const Fd &store_;
    const StoreLayers &layers_;
    mounts::Statement known_;
    std::set<std::string> taken_;
};

Result<Fd> memory_file(const std::string &text) {
    Fd fd(::memfd_create("registration", MFD_CLOEXEC));
    if (!fd) return fail(errno, "memfd_create", "");
    if (auto written = base::write_all(fd.get(), text, "registration"); !written) return std::unexpected(written.error());
    return fd;
}

// Rows of paths that the host says it has no longer.
Result<std::vector<int64_t>> rows_to_forget(mounts::Database &database, const std::string &file) {
    std::vector<int64_t> rows;
    if (file.empty()) return rows;
    const auto text = base::read_file(file, forget_limit_bytes);
    if (!text) return std::unexpected(text.error());
    auto find = database.prepare("select id from ValidPaths where path = ?");
    if (!find) return std::unexpected(find.error());
    for (size_t at = 0, end = 0; (end = text->find('\n', at)) != std::string::npos; at = end + 1) {
        const std::string path = text->substr(at, end - at);
        const auto row = find->bind(1, path).step();
        if (!row) return std::unexpected(row.error());
        if (*row) rows.push_back(find->integer(0));
        find->reset();
    }
    return rows;
}

Result<> change(mounts::Database &database, int root, int file, const LiveRequest &request, LiveReport &report) {
    const auto store = base::open_in_root(root, std::string(mounts::protocol::store_dir), O_PATH | O_DIRECTORY);
    if (!store) return std::unexpected(store.error());
    const StoreLayers layers = StoreLayers::open(root);
    const auto text = Sieve(database, *store, layers).loadable(file, request.reginfo, report);
    if (!text) return std::unexpected(text.error());
    const auto memory = memory_file(*text);
    if (!memory) return std::unexpected(memory.error());
    const auto closure = RegisteredClosure::read(memory->get(), request.reginfo);
    if (!closure) return std::unexpected(closure.error());
    const auto rows = rows_to_forget(database, request.forget);
    if (!rows) return std::unexpected(rows.error());
    // First, because what is forgotten may be registered anew by the same text.
    if (!rows->empty()) {
        const auto registered = [&](std::string_view path) { return closure->registers(path); };
        auto dropped = reconcile(database, registered, *rows, store->get(), layers, false);
        if (!dropped) return std::unexpected(dropped.error());
        report.dropped = std::move(*dropped);
    }
    if (closure->entries().empty()) return {};
    Loader loader(database, *closure, root);
    auto loaded = loader.load();
    report.added = loader.added();
    return loaded;
}

}  // namespace

Result<LiveReport> register_live(const LiveRequest &request) {
    auto root = base::open_at(AT_FDCWD, request.target_root, O_PATH | O_DIRECTORY);
    if (!root) return std::unexpected(root.error());
    auto source = find_registration(root->get(), request.reginfo);
    if (!source) return std::unexpected(source.error());
    auto directory = open_directory(root->get());
    if (!directory) return std::unexpected(directory.error());
    if (auto own = refuse_strangers(*directory); !own) return std::unexpected(own.error());
    const auto version = read_schema(*directory);
    if (!version) return std::unexpected(version.error());
    if (version->value_or(0) != schema_version)
        return fail(0, "register", *directory, std::format("no database of schema {} yet; Nix makes one", schema_version));
    auto held = lock(*directory, false);
    if (!held) return std::unexpected(held.error());
    auto database = mounts::Database::open(*directory + "/db.sqlite", mounts::Database::Mode::create);
    if (!database) return std::unexpected(database.error());
    LiveReport report;
    auto done = database->execute("pragma synchronous = normal; begin immediate")
                    .and_then([&] { return change(*database, root->get(), source->file.get(), request, report); })
                    .and_then([&] { return database->execute("commit"); });
    if (!done) (void)database->execute("rollback");  // closing does it too; the first error is the one that matters
    if (done) done = database->close();
    if (!done) return std::unexpected(done.error());
    return report;
}

std::string describe(const LiveReport &report) {
    std::string line = std::format("register: {} paths, {} added", report.paths, report.added);
    if (report.unseen != 0) line += std::format(", {} not seen here", report.unseen);
    if (!report.dropped.empty()) line += std::format(", {} gone from the store and dropped", report.dropped.size());
    return line;
}

}  // namespace stage1::nixdb

// Any text: no crash; what is read is printed and read again as the same; and loaded into a database it is there whole
// or not at all: one that was written page by page, whole to SQLite, and one that SQLite has filled, with the same rows.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "mounts/base/at.h"
#include "mounts/nix/database.h"
#include "mounts/nix/registration.h"
#include "stage1/nixdb/register_closure.h"

namespace {

void expect(bool truth) {
    if (!truth) std::abort();
}

const std::string &target_root() {
    static const std::string root = [] {
        std::string name = "/dev/shm/fuzz-registration-XXXXXX";
        expect(::mkdtemp(name.data()) != nullptr);
        return name;
    }();
    return root;
}

std::string query(const std::string &path, std::string_view sql) {
    auto database = mounts::Database::open(path, mounts::Database::Mode::create);
    auto statement = database->prepare(sql);
    std::string result;
    while (statement->step().value()) result += std::string(statement->text(0)) + '\n';
    return result;
}

base::Result<stage1::nixdb::RegisterReport> load(std::string_view text) {
    const std::string file = target_root() + "/reginfo";
    expect(base::replace_file(file, text).has_value());
    return stage1::nixdb::register_closure({.target_root = target_root(), .reginfo = file});
}

constexpr std::string_view paths =
    "select path || hash || coalesce(deriver, '-') || coalesce(narSize, '-') from ValidPaths order by path";
constexpr std::string_view references =
    "select a.path || b.path from Refs join ValidPaths a on a.id = referrer join ValidPaths b on b.id = reference order by 1";

void load_both(std::string_view text, size_t entries) {
    const std::string database = target_root() + "/nix/var/nix/db/db.sqlite";
    (void)::unlink(database.c_str());
    const auto fresh = load(text);
    if (!fresh) expect(::access(database.c_str(), F_OK) < 0);
    std::string written;
    if (fresh) {
        expect(fresh->paths <= entries && query(database, "pragma integrity_check") == "ok\n");
        written = query(database, paths) + query(database, references);
        (void)::unlink(database.c_str());
    }
    expect(load("").has_value());
    const auto filled = load(text);
    expect(filled.has_value() == fresh.has_value());
    expect(query(database, paths) + query(database, references) == written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    const std::string_view text(reinterpret_cast<const char *>(data), size);
    mounts::RegistrationReader reader(text, "input");
    mounts::PathInfo info;
    std::string printed;
    size_t entries = 0;
    for (;;) {
        const auto more = reader.next(info);
        if (!more) {
            load_both(text, 0);
            return 0;
        }
        if (!*more) break;
        ++entries;
        print(printed, info, mounts::RegistrationFormat::dump_db);
    }
    mounts::RegistrationReader again(std::string_view(printed), "printed");
    std::string twice;
    for (size_t i = 0; i < entries; ++i) {
        expect(again.next(info).value_or(false));
        print(twice, info, mounts::RegistrationFormat::dump_db);
    }
    expect(printed == twice);
    load_both(text, entries);
    return 0;
}

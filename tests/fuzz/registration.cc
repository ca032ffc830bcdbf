// Any text: no crash; what is read is printed and read again as the same; and loaded into a database it is there whole
// or not at all.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "mounts/base/at.h"
#include "mounts/database.h"
#include "mounts/registration.h"
#include "stage1/nixdb/register.h"

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

int64_t rows(const std::string &path) {
    auto database = mounts::Database::open(path, mounts::Database::Mode::create);
    auto statement = database->prepare("select count(*) from ValidPaths");
    return statement && statement->step() ? statement->integer(0) : -1;
}

void load(std::string_view text, size_t entries) {
    const std::string file = target_root() + "/reginfo";
    const std::string database = target_root() + "/nix/var/nix/db/db.sqlite";
    (void)::unlink(database.c_str());
    expect(base::replace_file(file, text).has_value());
    const auto report = stage1::nixdb::register_closure({.target_root = target_root(), .reginfo = file});
    if (report) {
        expect(report->paths == entries && rows(database) == static_cast<int64_t>(report->added));
    } else {
        expect(::access(database.c_str(), F_OK) < 0);
    }
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
            load(text, 0);
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
    load(text, entries);
    return 0;
}

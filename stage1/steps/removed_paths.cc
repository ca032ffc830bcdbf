#include "stage1/steps/removed_paths.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <format>
#include <vector>

#include "mounts/base/at.h"
#include "mounts/base/directory.h"
#include "mounts/base/printable.h"
#include "stage1/nixdb/registered_closure.h"
#include "stage1/nixdb/registration_file.h"

namespace stage1 {

namespace {

bool is_whiteout(int upper, const std::string &name) {
    struct stat st{};
    return ::fstatat(upper, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

bool has(int directory, const std::string &name) {
    struct stat st{};
    return ::fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

// Usually empty, and then the registration need not be read.
std::vector<std::string> hidden_paths(int lower, int upper) {
    std::vector<std::string> hidden;
    for (const std::string &name : base::names_in(upper, "upper").value_or(base::Names{}))
        if (is_whiteout(upper, name) && has(lower, name)) hidden.push_back(name);
    return hidden;
}

}  // namespace

std::string bring_back_removed_paths(const mounts::MountUnion &step) {
    const auto lower = base::open_at(AT_FDCWD, step.lower, O_PATH | O_DIRECTORY);
    const auto upper = base::open_at(AT_FDCWD, step.upper, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    const auto root = base::open_at(AT_FDCWD, step.root.empty() ? "/" : step.root, O_PATH | O_DIRECTORY);
    if (!lower || !upper || !root) return {};
    const auto hidden = hidden_paths(lower->get(), upper->get());
    if (hidden.empty()) return {};
    const auto registration = nixdb::find_registration(root->get(), step.reginfo);
    if (!registration || !registration->file) return {};
    const auto closure = nixdb::RegisteredClosure::read(registration->file.get(), registration->name);
    constexpr size_t most_told = 5;  // a garbage collection removes hundreds
    size_t back = 0;
    std::string names;
    for (const std::string &name : hidden)
        if (closure && closure->registers("/nix/store/" + name) && ::unlinkat(upper->get(), name.c_str(), 0) == 0 &&
            ++back <= most_told)
            names += " " + base::printable(name);
    if (back > most_told) names += std::format(" and {} more", back - most_told);
    return back == 0 ? "" : "; paths of the closure that were removed in this machine are back:" + names;
}

}  // namespace stage1

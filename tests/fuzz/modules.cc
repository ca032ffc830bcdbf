// Any modules.dep, modules.alias, modules.softdep and modules.builtin (parts of the input, split at zero bytes; the fifth
// is a list of names): no crash, no endless walk, and a plan in which each file stands once and after all that it needs.
#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/kernel/module_index.h"

namespace {

void expect(bool truth) {
    if (!truth) std::abort();
}

std::string next_part(std::string_view &text) {
    const size_t end = text.find('\0');
    std::string part(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return part;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    std::string_view text(reinterpret_cast<const char *>(data), size);
    mounts::ModuleTexts texts;
    for (std::string *part : {&texts.dep, &texts.alias, &texts.softdep, &texts.builtin}) *part = next_part(text);
    const mounts::ModuleIndex index(texts);
    std::vector<std::string> names;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        names.emplace_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        (void)index.drivers_of(names.back());
    }
    const mounts::ModulePlan plan = index.plan(names);
    std::set<std::string> seen;
    for (size_t i = 0; i < plan.steps.size(); ++i) {
        expect(seen.insert(mounts::module_name(plan.steps[i].path)).second);
        for (const size_t need : plan.steps[i].after) expect(need < i);
    }
    for (const auto &missing : plan.missing) expect(std::ranges::find(names, missing) != names.end());
    return 0;
}

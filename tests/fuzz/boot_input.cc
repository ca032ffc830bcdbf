// Any kernel command line with any parameters file and any fstab (parts of the input, split at zero bytes): no crash; what
// is understood is planned and described; and the same words mean the same again.
#include <cstdlib>
#include <string>
#include <string_view>

#include "mounts/boot/plan.h"
#include "stage1/base/boot_input.h"

namespace {

std::string next_part(std::string_view &text) {
    const size_t end = text.find('\0');
    std::string part(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return part;
}

std::string plan_of(const stage1::BootSources &sources) {
    auto input = stage1::boot_input(sources, "/mnt-root");
    if (!input) return message(input.error());
    const auto phases = plan_boot(*input);
    if (!phases) return message(phases.error());
    std::string text;
    for (const auto &phase : *phases)
        for (const auto &step : phase.steps) text += describe(step) + "\n";
    return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    std::string_view text(reinterpret_cast<const char *>(data), size);
    stage1::BootSources sources;
    sources.command_line = next_part(text);
    sources.parameters = next_part(text);
    sources.modules = next_part(text);
    sources.fstab = text;
    sources.memory_bytes = uint64_t{1} << 30;
    const std::string first = plan_of(sources);
    if (first.empty() || first != plan_of(sources)) std::abort();
    return 0;
}

#include "hostside/builder/builder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <sstream>

#include "hostside/base/printable.h"
#include "hostside/base/shell_words.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

namespace fs = std::filesystem;
using base::fail;
using base::Fd;
using base::Result;

constexpr size_t most_bytes = 65536;

std::string text_of(const Builder &builder) {
    std::string text;
    const auto add = [&](std::string_view word, const auto &value) { text += std::format("{} {}\n", word, value); };
    add("name", builder.name);
    add("system", builder.system);
    add("features", builder.features);
    add("store", builder.store);
    add("directory", builder.working_directory);
    if (builder.after) add("after", *builder.after);
    add("jobs", builder.jobs);
    add("idle", builder.idle_s);
    add("heartbeat", builder.heartbeat_s);
    add("boot-limit", builder.boot_limit_s);
    return text;
}

Builder builder_from(const std::string &text) {
    Builder builder;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const size_t blank = std::min(line.find(' '), line.size());
        const std::string word = line.substr(0, blank), value = line.substr(std::min(blank + 1, line.size()));
        const std::array<std::pair<std::string_view, std::string *>, 5> texts{{{"name", &builder.name},
                                                                               {"system", &builder.system},
                                                                               {"features", &builder.features},
                                                                               {"store", &builder.store},
                                                                               {"directory", &builder.working_directory}}};
        const std::array<std::pair<std::string_view, int *>, 4> numbers{{{"jobs", &builder.jobs},
                                                                         {"idle", &builder.idle_s},
                                                                         {"heartbeat", &builder.heartbeat_s},
                                                                         {"boot-limit", &builder.boot_limit_s}}};
        for (const auto &[known, field] : texts)
            if (word == known) *field = value;
        for (const auto &[known, field] : numbers)
            if (word == known) (void)std::from_chars(value.data(), value.data() + value.size(), *field);
        if (word == "after") builder.after = value;
    }
    return builder;
}

Result<> make_directory(const std::string &path) {
    std::error_code error;
    fs::create_directories(path, error);
    if (error) return fail(error.value(), "mkdir", path);
    return {};
}

}  // namespace

std::string_view builder_name_fault(const std::string &name) {
    const bool letters =
        std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; });
    if (name.empty() || !letters)
        return "a builder's name can have only letters, digits, - _ and ., because it is the host name in a URL";
    if (name[0] == '-' || name[0] == '.') return "a builder's name must begin with a letter or a digit";
    if (name == "localhost" || name == "bin") return "this name has a special meaning; choose another with --name";
    return "";
}

std::string builders_directory() {
    const char *state = std::getenv("XDG_STATE_HOME"), *home = std::getenv("HOME");
    if (state != nullptr && *state == '/') return std::string(state) + "/runvm-builders";
    if (home == nullptr || *home != '/') return "";
    return std::string(home) + "/.local/state/runvm-builders";
}

Result<> BuilderPlace::write(const Builder &builder, const std::string &machine_json, const std::string &runvm) const {
    for (const auto &text : {builder.store, builder.working_directory, builder.features, builder.after.value_or("")})
        if (printable(text) != text) return fail(0, "write builder", text, "it contains a control character");
    for (const auto &path : {at(""), directory_ + "/bin"})
        if (auto made = make_directory(path); !made) return made;
    const std::string script = std::format(
        "#!/bin/sh\n# For Nix, made by `runvm builder`. The next ssh in PATH handles other hosts.\n"
        "exec {} builder-ssh {} -- \"$@\"\n",
        quote_word(runvm), quote_word(directory_));
    return base::replace_file(description(), machine_json, 0600)
        .and_then([&] { return base::replace_file(at("builder"), text_of(builder), 0600); })
        .and_then([&] { return base::replace_file(ssh(), script, 0755); });
}

Result<Builder> BuilderPlace::read() const {
    if (!builder_name_fault(name_).empty()) return fail(ENOENT, "find builder", name_);
    return base::read_file(at("builder"), most_bytes).transform(builder_from);
}

Result<std::optional<Fd>> BuilderPlace::lock(std::string_view file, int kind) const {
    const std::string path = at(file);
    auto fd = base::open_at(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (!fd) return std::unexpected(fd.error());
    while (::flock(fd->get(), kind) < 0) {
        if (errno == EWOULDBLOCK) return std::optional<Fd>{};
        if (errno != EINTR) return fail(errno, "lock", path);
    }
    return std::optional<Fd>(std::move(*fd));
}

std::string machines_line(const Builder &builder, const std::string &scheme) {
    return std::format("{}://{} {} - {} 1 {} - -", scheme, builder.name, builder.system, builder.jobs,
                       builder.features.empty() ? "-" : builder.features);
}

}  // namespace hostside

// Complete descriptions and the resulting command lines: tests/unit/golden/NAME.json and NAME.argv, one QEMU option per line.
// GOLDEN=write in the environment rewrites the .argv files, to be read as a diff.

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <nlohmann/json.hpp>
#include <set>

#include "hostside/base/shell_words.h"
#include "hostside/boot/kernel_command_line.h"
#include "hostside/description/description.h"
#include "hostside/qemu/command.h"
#include "hostside/store/share_servers.h"
#include "mounts/base/at.h"

namespace {

namespace fs = std::filesystem;

const fs::path golden = "tests/unit/golden";

std::string text_of(const fs::path &path) { return base::read_file(path.string()).value_or("no file " + path.string()); }

std::vector<fs::path> descriptions() {
    std::vector<fs::path> files;
    for (const auto &entry : fs::directory_iterator(golden))
        if (entry.path().extension() == ".json") files.push_back(entry.path());
    std::ranges::sort(files);
    return files;
}

// What `prepare` would find on a host that matches the description.
hostside::HostFacts facts_of(const hostside::Machine &m) {
    hostside::HostFacts facts{.qemu = m.qemu,
                              .runvm = "/bin/runvm",
                              .kernel = m.kernel.empty() ? "/kernel" : m.kernel,
                              .initrd = m.initrd.empty() ? "/initrd" : m.initrd,
                              .root_image = m.disk_image,
                              .store_image = m.store_kind == "erofs" ? "/cache/store.erofs" : "",
                              .xchg = "/run/xchg",
                              .shared = m.shared_dir.empty() ? "/run/xchg" : m.shared_dir,
                              .runtime = "/run",
                              .run_directory = "/run"};
    facts.command_line =
        hostside::kernel_command_line(m, "loglevel=4\n", m.init.empty() && !m.toplevel.empty() ? m.toplevel + "/init" : m.init);
    for (auto &one : hostside::served_directories(m, facts.xchg, facts.shared, "/run"))
        facts.share_sockets.emplace(std::move(one.tag), std::move(one.socket));
    facts.efi_code = m.efi_firmware;
    facts.efi_variables = m.efi_own_variables;
    facts.tpm_socket = m.tpm ? "/run/tpm" : "";
    facts.certificates = m.use_host_certs ? "/run/certs" : "";
    facts.oem_parameters = hostside::oem_parameters(m, false, "");
    for (size_t i = 0; i < m.empty_disks_mib.size(); ++i) facts.empty_images.push_back(std::format("/run/empty{}.qcow2", i));
    return facts;
}

std::string one_option_a_line(const std::vector<std::string> &argv) {
    std::string lines;
    for (const auto &word : argv) lines += (lines.empty() ? "" : word.starts_with('-') ? "\n" : " ") + hostside::quote_word(word);
    return lines + "\n";
}

void collect_keys(std::set<std::string> &keys, const nlohmann::json &object, const std::string &prefix) {
    for (const auto &[key, value] : object.items()) {
        keys.insert(prefix + key);
        if (value.is_object()) collect_keys(keys, value, prefix + key + ".");
    }
}

}  // namespace

TEST_CASE("a description becomes the command line that stands beside it") {
    const auto file = GENERATE(from_range(descriptions()));
    INFO(file);
    const auto machine = hostside::machine_from({{file.filename(), text_of(file), false}});
    if (!machine) FAIL(base::message(machine.error()));
    const auto argv = hostside::qemu_argv(*machine, facts_of(*machine));
    if (!argv) FAIL(base::message(argv.error()));
    const std::string lines = one_option_a_line(*argv);
    fs::path beside = file;
    beside.replace_extension(".argv");
    if (const char *mode = std::getenv("GOLDEN"); mode != nullptr && std::string_view(mode) == "write")
        REQUIRE(base::replace_file(beside.string(), lines));
    CHECK(lines == text_of(beside));
    // A shell must parse --print's output into the same arguments.
    CHECK(hostside::split_words(hostside::quote_words(*argv), "printed") == *argv);
}

TEST_CASE("every option is in a golden description") {
    CHECK(descriptions().size() >= 20);
    std::set<std::string> used;
    for (const auto &file : descriptions()) collect_keys(used, nlohmann::json::parse(text_of(file)), "");
    for (const auto &key : hostside::keys()) {
        INFO(key.path);
        CHECK(used.contains(key.path));
    }
}

#include "hostside/cli/conclusion.h"

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <format>

#include "hostside/base/printable.h"
#include "hostside/base/run_names.h"
#include "hostside/host/guest_files.h"
#include "hostside/host/last_run.h"
#include "mounts/base/at.h"
#include "mounts/base/shell_words.h"

namespace hostside {

namespace {

// The end of the console's log, which has two parts.
std::string console_tail(const std::string &run_directory) {
    constexpr size_t enough_bytes = size_t{64} << 10;
    std::string text;
    for (const std::string_view part : {console_log_before, console_log})
        text += base::read_file(run_directory + "/" + std::string(part)).value_or("");
    if (text.size() > enough_bytes) text.erase(0, text.size() - enough_bytes);
    return printable_lines(text);
}

// The commands or files that show more. A fleet keeps its machines' files in a directory of its own.
std::string where_to_look(const std::string &name) {
    const char *fleet = std::getenv(kept_in.data());
    const std::string place = fleet != nullptr ? fleet : "";
    std::string look;
    if (place.empty())
        look = "runvm logs " + base::quote_word(name);
    else if (!last_console(name).value_or("").empty())
        look = base::quote_word(place + "/console.log");
    if (last_report(name))
        look += (look.empty() ? "" : ", ") + ("runvm report " + base::quote_word(place.empty() ? name : place + "/report.json"));
    return look;
}

}  // namespace

RunRecord record_of(const Machine &machine) {
    RunRecord record{.started_s = ::time(nullptr), .memory_mib = machine.memory_mib, .ports = "", .state = "disk", .cause = ""};
    for (const auto &port : machine.forward_ports)
        record.ports += std::format("{}{}{}{}", record.ports.empty() ? "" : ", ", port.host_port,
                                    port.from == "host" ? "->" : "<-", port.guest_port);
    return record;
}

base::Result<> keep_report(const HostFacts &facts, const std::string &path) {
    constexpr size_t limit_bytes = size_t{16} << 20;
    auto text = guest_report(facts.run_directory, facts.xchg, limit_bytes);
    if (!text) return std::unexpected(text.error());
    return base::replace_file(path, *text);
}

std::vector<std::string> conclude(const Heard &heard, const Machine &machine, const Prepared &prepared, RunRecord &record,
                                  int code, double seconds) {
    const std::string &directory = prepared.facts.run_directory;
    const Ending ending = ending_of(
        heard, {code, machine.timeout_s, machine.memory_mib, prepared.facts.initrd, code == 0 ? "" : console_tail(directory),
                prepared.facts.root_image, machine.disk_image_format == "raw" && !machine.ephemeral,
                (" " + prepared.facts.command_line + " ").contains(" fstab=no ")});
    record.ended_s = ::time(nullptr);
    record.exit_code = code;
    record.cause = cause(ending);
    const std::string name = std::filesystem::path(directory).filename();
    const bool kept = keep_run(directory, prepared.facts.xchg, record);
    return last_words(ending, code, seconds, kept ? where_to_look(name) : "");
}

}  // namespace hostside

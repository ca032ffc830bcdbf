#include "hostside/export/nomad_job.h"

#include "hostside/description/json.h"

namespace hostside {

std::string nomad_job(const NomadWish &wish) {
    constexpr int qemu_own_mib = 128;
    constexpr int64_t patience_ns = 90'000'000'000;
    Json args = {"-C", wish.directory};
    for (const auto &word : wish.words) args.push_back(word);
    const Json task = {{"Name", wish.machine.name},
                       {"Driver", "raw_exec"},
                       {"Config", {{"command", "/usr/bin/env"}, {"args", args}}},
                       {"Resources", {{"Cores", wish.machine.cores}, {"MemoryMB", wish.machine.memory_mib + qemu_own_mib}}},
                       {"KillSignal", "SIGTERM"},
                       {"KillTimeout", patience_ns}};
    // The exit status is the machine's result, so never run it again.
    const Json group = {{"Name", wish.machine.name},
                        {"Count", 1},
                        {"RestartPolicy", {{"Attempts", 0}, {"Mode", "fail"}}},
                        {"ReschedulePolicy", {{"Attempts", 0}, {"Unlimited", false}}},
                        {"Tasks", Json::array({task})}};
    const Json job = {{"ID", wish.machine.name},
                      {"Name", wish.machine.name},
                      {"Type", "batch"},
                      {"Datacenters", Json::array({"*"})},
                      {"TaskGroups", Json::array({group})}};
    return Json{{"Job", job}}.dump(2) + "\n";
}

}  // namespace hostside

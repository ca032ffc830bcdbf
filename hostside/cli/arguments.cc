#include "hostside/cli/arguments.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <format>
#include <map>
#include <memory>

#include "hostside/base/shell_words.h"
#include "hostside/cli/flake_system.h"
#include "hostside/cli/fork.h"
#include "hostside/description/environment.h"
#include "hostside/description/qemu_words.h"
#include "hostside/launch/prepare.h"
#include "hostside/snapshot/place.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::Result;

// Nothing but instructions moves this machine's clock, and nothing of the host is in it: no random number, no date, and no device
// that the main loop serves behind the processor's back (ioeventfd). What remains are answers of disks and shares.
constexpr std::string_view counted_machine = R"({"accelerator": "tcg", "cores": 1, "storeKind": "9p",
    "kernelParams": ["nokaslr", "norandmaps", "randomize_kstack_offset=off"],
    "qemu": {"options": ["-icount shift=0,sleep=off", "-seed 1", "-rtc base=2025-01-01,clock=vm",
        "-global virtio-serial-pci.ioeventfd=off", "-global virtio-9p-pci.ioeventfd=off", "-global virtio-blk-pci.ioeventfd=off",
        "-global virtio-rng-pci.ioeventfd=off", "-global virtio-net-pci.ioeventfd=off"]}})";

// A regular file, or a pipe with a writer: <(nix eval ...). A named FIFO may never get a writer.
Result<std::string> description_in(const std::string &path) {
    constexpr std::string_view step = "read description";
    auto fd = base::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd) return base::fail(fd.error().code, step, path);
    struct stat st{};
    struct statfs fs{};
    if (::fstat(fd->get(), &st) < 0 || ::fstatfs(fd->get(), &fs) < 0) return base::fail(errno, step, path);
    const bool pipe = S_ISFIFO(st.st_mode) && fs.f_type == PIPEFS_MAGIC;
    if (!S_ISREG(st.st_mode) && !pipe) return base::fail(0, step, path, "neither a file nor a pipe; name a file");
    if (::fcntl(fd->get(), F_SETFL, 0) < 0) return base::fail(errno, step, path);
    auto text = base::read_all(fd->get(), path, description_limit_bytes);
    if (!text)
        return base::fail(text.error().code, step, path,
                          text.error().code == EFBIG ? std::format("the limit is {} bytes", description_limit_bytes) : "");
    return text;
}

Result<std::vector<Layer>> flag_layers(const Arguments &arguments) {
    std::vector<Layer> layers;
    if (!arguments.system.empty()) {
        const auto system = system_of(arguments.system);
        if (!system) return std::unexpected(system.error());
        auto layer = setting("toplevel", *system, "the system");
        if (!layer) return std::unexpected(layer.error());
        layers.push_back(std::move(*layer));
    }
    for (const auto &flag : arguments.flags)
        for (const auto &value : flag.values) {
            auto layer = setting(flag.key.path, flag.key.boolean && value.empty() ? "true" : value, flag.key.flag);
            if (!layer) return std::unexpected(layer.error());
            layers.push_back(std::move(*layer));
        }
    if (arguments.icount) layers.insert(layers.begin(), {"--icount", std::string(counted_machine), false});
    if (!arguments.store_union.empty())
        layers.push_back({"--union",
                          std::format(R"({{"writableStore":{},"writableStoreUseTmpfs":{}}})", arguments.store_union != "off",
                                      arguments.store_union == "tmpfs"),
                          false});
    for (const auto &word : arguments.extra) {
        auto layer = setting("qemu.options", quote_word(word), "after --");
        if (!layer) return std::unexpected(layer.error());
        layers.push_back(std::move(*layer));
    }
    return layers;
}

// CLI11's default is what a flag without a value means. The help shows the default without the flag.
class WithDefaults : public CLI::Formatter {
  public:
    explicit WithDefaults(const std::vector<Key> &keys) {
        for (const auto &key : keys) defaults_[key.flag] = key.fallback;
    }
    std::string make_option_opts(const CLI::Option *option) const override {
        constexpr std::string_view without_value = " [true]";
        std::string text = CLI::Formatter::make_option_opts(option);
        for (const auto &name : option->get_lnames()) {
            const auto known = defaults_.find("--" + name);
            if (known == defaults_.end()) continue;
            if (const size_t at = text.find(without_value); at != std::string::npos) text.erase(at, without_value.size());
            while (text.ends_with(' ')) text.pop_back();
            if (!known->second.empty()) text += std::format(" [{}]", known->second);
        }
        return text;
    }

  private:
    std::map<std::string, std::string> defaults_;
};

}  // namespace

void add_description_flags(CLI::App &command, Arguments &arguments) {
    const auto read_config = [&arguments](const std::string &file) {
        arguments.config = file;
        arguments.config_text = description_in(file);
    };
    command.add_option_function<std::string>("--config", read_config, "a description in JSON; see runvm.json(5)")
        ->type_name("FILE");
    const auto all = keys();
    command.formatter(std::make_shared<WithDefaults>(all));
    arguments.flags.reserve(all.size());  // CLI11 keeps addresses of the elements
    for (const auto &key : all) {
        Flag &flag = arguments.flags.emplace_back(Flag{key, {}});
        const std::string names = key.flag + (key.more_flags.empty() ? "" : "," + key.more_flags);
        auto *option = command.add_option(names, flag.values, key.help)->type_name(key.value)->group(key.subject);
        option->expected(key.boolean ? 0 : 1, 1)->allow_extra_args(false);
        if (key.boolean) option->default_str("true");
        option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->run_callback_for_default(false);
    }
    command
        .add_option("--union", arguments.store_union,
                    "where the guest's additions to its store go; sets writableStore and writableStoreUseTmpfs")
        ->type_name("off|tmpfs|disk")
        ->check(CLI::IsMember({"off", "tmpfs", "disk"}).description(""))
        ->group("System");
    command
        .add_flag("--icount", arguments.icount,
                  "emulated, with a clock that counts instructions, so that runvm report --compare --cpu compares exactly")
        ->group("Hardware");
    command
        .add_option("system", arguments.system,
                    "a NixOS system, like --toplevel, or FLAKE#HOST, which nix builds; arguments after -- are for QEMU")
        ->type_name("DIR");
    // Words after `--` (main.cc). CLI11 would give them to any option that still takes words.
    command.add_option(std::string(after_dashes), arguments.extra)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->group("");
}

void add_from_flag(CLI::App &command, Arguments &arguments) {
    command
        .add_option(
            "--from", arguments.from,
            "restore this snapshot (of runvm snapshot) instead of booting; other options can only change settings of the run")
        ->type_name("DIR");
}

void add_setting(Arguments &arguments, std::string_view key, std::string value) {
    const auto flag = std::ranges::find(arguments.flags, key, [](const Flag &f) { return std::string_view(f.key.path); });
    if (flag != arguments.flags.end()) flag->values.push_back(std::move(value));
}

void default_setting(Arguments &arguments, std::string_view key, std::string value) {
    const auto flag = std::ranges::find(arguments.flags, key, [](const Flag &f) { return std::string_view(f.key.path); });
    if (flag != arguments.flags.end() && flag->values.empty()) flag->values.push_back(std::move(value));
}

Result<std::vector<Layer>> layers_of(const Arguments &arguments) {
    std::vector<Layer> layers;
    if (!arguments.from.empty()) {
        auto snapshot = open_snapshot(arguments.from);
        if (!snapshot) return std::unexpected(snapshot.error());
        layers.push_back({snapshot->file(snapshot_manifest), std::move(snapshot->manifest.description), false});
    }
    if (!arguments.config.empty()) {
        auto text = arguments.config_text ? *arguments.config_text : description_in(arguments.config);
        if (!text) return std::unexpected(text.error());
        layers.push_back({arguments.config, std::move(*text), false});
    }
    auto flags = flag_layers(arguments);
    if (!flags) return flags;
    // The name of one variable contains the machine's name, so that is determined first.
    std::vector<Layer> named = layers;
    named.insert(named.end(), flags->begin(), flags->end());
    auto first = machine_from(named);
    if (!first) return std::unexpected(first.error());
    auto environment = environment_layers([](const char *name) { return std::getenv(name); }, first->name);
    if (!environment) return environment;
    layers.insert(layers.end(), environment->begin(), environment->end());
    layers.insert(layers.end(), flags->begin(), flags->end());
    return layers;
}

std::vector<std::string> description_words(const Arguments &arguments) {
    std::vector<std::string> words;
    const auto add = [&](const std::string &flag, const std::string &value) {
        if (!value.empty()) words.push_back(flag + "=" + value);
    };
    add("--from", arguments.from);
    add("--config", arguments.config);
    for (const auto &flag : arguments.flags)
        for (const auto &value : flag.values)
            words.push_back(flag.key.boolean && value.empty() ? flag.key.flag : flag.key.flag + "=" + value);
    add("--union", arguments.store_union);
    if (arguments.icount) words.emplace_back("--icount");
    if (!arguments.system.empty()) words.push_back(arguments.system);
    return words;
}

Result<Machine> machine_of(const Arguments &arguments) {
    if (arguments.decided) return *arguments.decided;
    return layers_of(arguments)
        .and_then([](const std::vector<Layer> &layers) { return machine_from(layers); })
        .and_then([](Machine machine) -> Result<Machine> {
            take_qemu_words(machine);
            if (auto done = expand_vde_sockets(machine, [](const char *name) { return std::getenv(name); }); !done)
                return std::unexpected(done.error());
            make_paths_absolute(machine);
            return machine;
        })
        .and_then([&](Machine machine) -> Result<Machine> {
            if (arguments.from.empty()) return machine;
            auto snapshot = open_snapshot(arguments.from);
            if (!snapshot) return std::unexpected(snapshot.error());
            be_saved(machine, snapshot->manifest.point, snapshot->manifest.disk ? snapshot->file(snapshot_disk) : "");
            machine.ephemeral = true;
            return machine;
        });
}

}  // namespace hostside

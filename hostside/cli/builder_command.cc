#include "hostside/cli/builder_command.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <format>
#include <memory>
#include <utility>

#include "hostside/base/exit_code.h"
#include "hostside/base/printable.h"
#include "hostside/base/program_path.h"
#include "hostside/boot/boot_files.h"
#include "hostside/builder/builder.h"
#include "hostside/builder/live_registration.h"
#include "hostside/builder/ssh_call.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/builder_keeper.h"
#include "hostside/cli/command_words.h"
#include "hostside/cli/reporter.h"
#include "hostside/cli/within_machine.h"
#include "mounts/base/at.h"
#include "mounts/base/json_text.h"

namespace hostside {

namespace {

namespace fs = std::filesystem;
using base::fail;
using base::Result;

struct BuilderArguments {
    Arguments machine;
    Builder builder;
    std::string directory, scheme = "ssh-ng", after;
    bool after_given = false;
};

// Nix's name for the platform of a system, as NixOS stores it.
std::string system_of(const Machine &machine) {
    if (!machine.toplevel.empty())
        if (auto text = base::read_file(in_store(machine.store, machine.toplevel) + "/system", 64); text && !text->empty())
            return text->substr(0, text->find('\n'));
    utsname host{};
    (void)::uname(&host);
    return std::string(host.machine) + "-linux";
}

Result<std::string> directory_of(const std::string &said) {
    const std::string directory = said.empty() ? builders_directory() : said;
    if (directory.empty()) return fail(0, "find builders", "", "there is no HOME; pass --directory DIR");
    return fs::absolute(directory).lexically_normal().string();
}

// A builder that never boots would fail builds much later.
Result<> check_boot(const Machine &machine) {
    const auto boot = boot_of(machine);
    if (!boot) return std::unexpected(boot.error());
    if (!boot->kernel.empty() || machine.use_boot_loader) return {};
    return fail(0, "make builder", machine.name, "it has nothing to boot; name a NixOS system: runvm builder ./result");
}

Result<std::string> describe_builder(BuilderArguments &arguments) {
    // Otherwise it would see only its own closure.
    default_setting(arguments.machine, "storeView", "all");
    auto machine = machine_of(arguments.machine);
    if (!machine) return std::unexpected(machine.error());
    if (!machine->writable_store)
        return fail(0, "make builder", "",
                    "a builder needs a store that the guest can add to; pass --union tmpfs or --union disk");
    if (auto boots = check_boot(*machine); !boots) return std::unexpected(boots.error());
    Builder &builder = arguments.builder;
    builder.name = machine->name;
    if (const auto fault = builder_name_fault(builder.name); !fault.empty()) return fail(0, "make builder", builder.name, fault);
    builder.system = system_of(*machine);
    builder.store = machine->store;
    builder.working_directory = fs::current_path();
    if (arguments.after_given) builder.after = arguments.after;
    return layers_of(arguments.machine).and_then([](const std::vector<Layer> &layers) { return describe_json(layers); });
}

int make_builder(BuilderArguments &arguments) {
    const auto directory = directory_of(arguments.directory);
    if (!directory) return refuse(directory.error());
    const auto json = describe_builder(arguments);
    if (!json) return refuse(json.error());
    const BuilderPlace place(*directory, arguments.builder.name);
    const auto written = place.write(arguments.builder, *json, fs::read_symlink("/proc/self/exe"));
    if (!written) return refuse(written.error());
    if (const int failed = print_result(machines_line(arguments.builder, arguments.scheme) + "\n"); failed != 0) return failed;
    say(std::format(
        "to use the builder, run Nix with PATH={}:$PATH and pass the printed line as --builders or put it in /etc/nix/machines",
        fs::path(place.ssh()).parent_path().string()));
    return 0;
}

// Runs the next `ssh` in PATH, so that other builders still work.
int be_other_ssh(const BuilderPlace &place, const std::string &host, const std::vector<std::string> &words) {
    struct stat ours{}, other{};
    const bool known = ::stat(place.ssh().c_str(), &ours) == 0;
    const auto same = [&](const std::string &path) {
        return known && ::stat(path.c_str(), &other) == 0 && other.st_dev == ours.st_dev && other.st_ino == ours.st_ino;
    };
    const auto all = programs_named("ssh");
    const auto here = std::ranges::find_if(all, same);
    const auto next = std::ranges::find_if_not(here == all.end() ? all.begin() : here, all.end(), same);
    if (next != all.end()) {
        std::vector<char *> argv{const_cast<char *>("ssh")};
        for (const auto &word : words) argv.push_back(const_cast<char *>(word.c_str()));
        argv.push_back(nullptr);
        (void)::execv(next->c_str(), argv.data());
    }
    return refuse(
        {"find builder", host, 0, "there is no builder of this name, and no other ssh; make the builder with runvm builder"});
}

// Acts like `ssh -M -N` until Nix ends it. Shares nothing, because our connections need no master.
int be_master(const SshCall &call) {
    if (call.says_started) (void)base::write_all(STDOUT_FILENO, "started\n", "stdout");
    for (const pid_t parent = ::getppid(); ::getppid() == parent;) (void)::sleep(1);
    return 0;
}

// Once it has a builder, Nix's build hook forwards only messages in Nix's own format (libstore, parseJSONMessage).
bool caller_is_hook() {
    constexpr size_t enough_bytes = 4096;
    const auto words =
        base::open_at(AT_FDCWD, std::format("/proc/{}/cmdline", ::getppid()), O_RDONLY).and_then([](const base::Fd &fd) {
            return base::read_all(fd.get(), "cmdline", size_t{1} << 20);
        });
    return words && words->substr(0, enough_bytes).contains("build-remote");
}

void tell_nix(const std::string &text) {
    if (!caller_is_hook()) return say(text);
    const std::string message = base::json_text(printable("runvm: " + text));
    (void)base::write_all(STDERR_FILENO, std::format("@nix {{\"action\":\"msg\",\"level\":0,\"msg\":{}}}\n", message), "stderr");
}

int say_why(const BuilderPlace &place, const base::Error &error) {
    if (!error.hint.contains("machine ended")) {
        tell_nix(base::message(error));
        return launcher_error;
    }
    const HowItEnded how = wait_for_end_of(place);
    tell_nix(std::format("builder {}: {}; this is not a build failure; try again ({})", place.name(), how.text, place.log()));
    return how.code;
}

int connect_to_builder(const Builder &builder, const BuilderPlace &place, const SshCall &call) {
    const auto used = place.lock(use_lock, LOCK_SH);
    if (!used) return refuse(used.error());
    const auto touch = [&] { (void)::futimens((*used)->get(), nullptr); };
    touch();
    const auto up = bring_up(builder, place);
    if (!up) return refuse(up.error());
    if (auto told = tell_of_new_paths(up->machine, builder, place, up->boot); !told)
        say(std::format("builder {}: Nix copies the inputs: {}", builder.name, base::message(told.error())));
    if (call.says_started) (void)base::write_all(STDOUT_FILENO, "started\n", "stdout");
    ExecWish wish = up->machine;
    wish.request.argv = {"/bin/sh", "-c", command_line_of(call)};
    if (!builder.features.empty()) {
        std::string features = builder.features;
        std::ranges::replace(features, ',', ' ');
        wish.request.environment.push_back("NIX_CONFIG=system-features = " + features);
    }
    wish.streams = own_streams();
    const auto end = run_in_guest(wish);
    touch();
    return end ? status_of(*end) : say_why(place, end.error());
}

int be_ssh(const std::string &directory, const std::vector<std::string> &words) {
    const SshCall call = ssh_call(words);
    const BuilderPlace place(directory, call.host);
    const auto builder = place.read();
    if (!builder && builder.error().code == ENOENT) return be_other_ssh(place, call.host, words);
    if (!builder) return refuse(builder.error());
    constexpr int no_master = 255;  // ssh's status for its own failures
    if (call.control) return no_master;
    if (call.master) return be_master(call);
    return connect_to_builder(*builder, place, call);
}

void add_numbers(CLI::App &command, Builder &builder) {
    constexpr int a_day_s = 86400;
    command.add_option("--jobs", builder.jobs, "the number of parallel builds")
        ->check(CLI::Range(1, 1000).description(""))
        ->type_name("NUMBER")
        ->capture_default_str();
    command.add_option("--idle", builder.idle_s, "power the machine off after this time without use; 0: never")
        ->check(CLI::Range(0, a_day_s).description(""))
        ->type_name("SECONDS")
        ->capture_default_str();
    command.add_option("--heartbeat", builder.heartbeat_s, "end a guest that has been silent for this long; 0: never")
        ->check(CLI::Range(0, a_day_s).description(""))
        ->type_name("SECONDS")
        ->capture_default_str();
    command.add_option("--boot-limit", builder.boot_limit_s, "how long the machine may take to boot")
        ->check(CLI::Range(1, a_day_s).description(""))
        ->type_name("SECONDS")
        ->capture_default_str();
}

}  // namespace

void add_builder_commands(CLI::App &app, int &status) {
    auto arguments = std::make_shared<BuilderArguments>();
    arguments->builder.features = "benchmark,big-parallel";
    CLI::App *command = app.add_subcommand("builder", "make a machine a builder for the host's Nix, without ssh or a network");
    add_description_flags(*command, arguments->machine);
    add_numbers(*command, arguments->builder);
    command->add_option("--features", arguments->builder.features, "the builder's system-features, for Nix here and in the guest")
        ->type_name("LIST")
        ->capture_default_str();
    command->add_option("--protocol", arguments->scheme, "the protocol between Nix and the builder")
        ->type_name("ssh-ng|ssh")
        ->check(CLI::IsMember({"ssh-ng", "ssh"}).description(""))
        ->capture_default_str();
    command->add_option("--directory", arguments->directory, "the directory for builders and for Nix's bin/ssh")
        ->type_name("DIR");
    CLI::Option *after = add_after(*command, arguments->after);
    command->callback([&status, arguments, after] {
        arguments->after_given = after->count() > 0;
        status = make_builder(*arguments);
    });

    struct Called {
        std::string directory;
        std::vector<std::string> words;
    };
    auto called = std::make_shared<Called>();
    CLI::App *ssh = app.add_subcommand("builder-ssh", "the program that Nix calls as ssh");
    ssh->group("");  // for Nix, not for users
    ssh->add_option("directory", called->directory)->required();
    ssh->add_option(std::string(after_dashes), called->words)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    ssh->callback([&status, called] { status = be_ssh(called->directory, called->words); });
}

}  // namespace hostside

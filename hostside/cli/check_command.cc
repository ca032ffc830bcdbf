#include "hostside/cli/check_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <format>
#include <memory>
#include <string>
#include <vector>

#include "hostside/base/cache.h"
#include "hostside/base/exists.h"
#include "hostside/base/exit_code.h"
#include "hostside/base/printable.h"
#include "hostside/boot/kernel_config.h"
#include "hostside/cli/reporter.h"
#include "hostside/qemu/accelerator.h"
#include "hostside/qemu/program.h"

namespace hostside {

namespace {

int check(const std::string &path) {
    auto config = kernel_config(path);
    if (!config) {
        say(base::message(config.error()));
        return launcher_error;
    }
    const auto missing = lacks(*config);
    std::string text;
    for (const auto &lack : missing)
        text += std::format("{} {}: {}\n", lack.fatal ? "missing" : "without", lack.option, lack.without);
    const bool boots = std::ranges::none_of(missing, &Lack::fatal);
    text += missing.empty() ? std::format("{}: has all {} options that a machine may need\n", printable(path), needed_options())
                            : std::format("{}: {} machine boots with this kernel\n", printable(path), boots ? "a" : "no");
    const int printed = print_result(text);
    return printed == 0 && !boots ? 1 : printed;
}

// Tests whether that kernel runs with KVM on this host, the same way runvm does for a machine.
int check_kvm(const std::string &kernel, const std::string &program) {
    const auto qemu = find_qemu(program);
    if (!qemu) return refuse(qemu.error());
    if (!exists(kernel)) return refuse({"read", kernel, errno, ""});
    std::vector<Remembered> learned;
    const auto found = choose_accelerator("auto", *qemu, kernel, [](const std::string &) {}, learned);
    if (!found) return refuse(found.error());
    for (const auto &one : learned) remember(one);
    if (found->kvm) return print_result("kvm\n");
    say("no KVM: " + found->reason);
    return 1;
}

}  // namespace

void add_check_command(CLI::App &app, int &status) {
    auto path = std::make_shared<std::string>();
    CLI::App *command = app.add_subcommand("check", "check whether a kernel has what a machine needs");
    command->add_option("kernel", *path, "a kernel, or its configuration: config-RELEASE, /proc/config.gz")
        ->required()
        ->type_name("FILE");
    auto kvm = std::make_shared<bool>(false);
    command->add_flag("--kvm", *kvm,
                      "instead, check whether the kernel runs with KVM on this host; if so, print kvm, as a node's feature");
    command->callback([&status, path, kvm] { status = *kvm ? check_kvm(*path, "qemu-system-x86_64") : check(*path); });
}

}  // namespace hostside

#include "hostside/cli/check_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <memory>
#include <print>
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
    for (const auto &lack : missing) std::println("{} {}: {}", lack.fatal ? "missing" : "without", lack.option, lack.without);
    const bool boots = std::ranges::none_of(missing, &Lack::fatal);
    if (missing.empty())
        std::println("{}: has all {} options that a machine may need", printable(path), needed_options());
    else
        std::println("{}: {}", printable(path), boots ? "a machine boots with this kernel" : "no machine boots with this kernel");
    return boots ? 0 : 1;
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
    if (found->kvm)
        std::println("kvm");
    else
        say("no KVM: " + found->reason);
    return found->kvm ? 0 : 1;
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

#include "hostside/run_command.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <format>
#include <memory>
#include <print>

#include "hostside/cache.h"
#include "hostside/environment.h"
#include "hostside/image.h"
#include "hostside/initrd.h"
#include "hostside/kernel_image.h"
#include "hostside/kvm.h"
#include "hostside/qemu.h"
#include "hostside/run_directory.h"
#include "hostside/supervise.h"
#include "hostside/system_layout.h"
#include "hostside/words.h"
#include "mounts/base/at.h"
#include "mounts/base/log.h"
#include "mounts/base/process.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::Result;

// Flags hold a value only when they were given, so that the environment and the defaults keep theirs.
struct RunOptions {
    std::optional<std::string> store, kernel, initrd, modules, init, reginfo, store_union, disk_image, name;
    std::optional<uint64_t> disk_size_mib;
    std::optional<uint32_t> memory_mib, cores;
    std::string toplevel;
    std::vector<std::string> parameters, qemu_arguments, extra_modules;
    std::string stage1, qemu = "qemu-system-x86_64", qemu_img = "qemu-img", accel = "auto";
    std::string output;  // of `initrd`
    int timeout_s = 0;
    bool graphics = false, print = false;
};

std::string beside_ourselves(const char *name) {
    std::error_code error;
    return (std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / name).string();
}

std::optional<std::string> variable(const char *name) {
    const char *value = std::getenv(name);
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

// Defaults, then the environment, then the flags: each later one wins.
Result<HostFolders> describe_machine(const RunOptions &options, Machine &machine) {
    machine.disk_image = std::format("./{}.qcow2", options.name.value_or(machine.name));
    auto folders = apply_environment(machine, variable);
    if (!folders) return folders;
    const auto take = [](auto &field, const auto &option) {
        if (option) field = *option;
    };
    take(machine.store, options.store);
    take(machine.kernel, options.kernel);
    take(machine.initrd, options.initrd);
    take(machine.modules, options.modules);
    take(machine.init, options.init);
    take(machine.reginfo, options.reginfo);
    take(machine.store_union, options.store_union);
    take(machine.disk_image, options.disk_image);
    take(machine.disk_size_mib, options.disk_size_mib);
    take(machine.memory_mib, options.memory_mib);
    take(machine.cores, options.cores);
    take(machine.name, options.name);
    machine.toplevel = options.toplevel;
    machine.graphics = options.graphics;
    machine.kernel_parameters.insert(machine.kernel_parameters.end(), options.parameters.begin(), options.parameters.end());
    machine.qemu_options.insert(machine.qemu_options.end(), options.qemu_arguments.begin(), options.qemu_arguments.end());
    if (auto complete = complete_from_toplevel(machine); !complete) return std::unexpected(complete.error());
    if (machine.kernel.empty())
        return base::fail(0, "describe the machine", machine.name, "no kernel: give --toplevel or --kernel");
    if (machine.init.empty()) return base::fail(0, "describe the machine", machine.name, "no stage 2: give --toplevel or --init");
    return folders;
}

// Made once for the same stage1, modules and wishes.
Result<std::string> initrd_file(const Machine &machine, const RunOptions &options) {
    if (!machine.initrd.empty()) return machine.initrd;
    const InitrdSpec spec{options.stage1.empty() ? beside_ourselves("stage1") : options.stage1,
                          machine.modules,
                          options.extra_modules,
                          {"pvpanic_mmio"}};
    std::vector<std::string> sources{spec.stage1};
    if (!spec.modules.empty()) sources.push_back(spec.modules + "/modules.dep");
    auto key = cache_key(sources, "initrd 1 " + quoted(spec.wanted));
    if (!key) return key;
    auto directory = cache_directory();
    if (!directory) return directory;
    const std::string path = std::format("{}/initrd-{}", *directory, *key);
    if (::access(path.c_str(), R_OK) == 0) return path;
    auto archive = make_initrd(spec);
    if (!archive) return archive;
    if (auto written = base::replace_file(path, *archive); !written) return std::unexpected(written.error());
    return path;
}

// Asked once for each QEMU; 0 when it does not say.
int qemu_major(const std::string &qemu) {
    const auto exit = base::run({.argv = {qemu, "--version"}, .capture_output = true});
    if (!exit) return 0;
    const size_t at = exit->output.find("version ");
    return at == std::string::npos ? 0 : std::atoi(exit->output.c_str() + at + 8);
}

bool choose_kvm(const RunOptions &options, const RunContext &context) {
    if (options.accel != "auto") return options.accel == "kvm";
    const KvmAnswer answer = probe_kvm({.qemu = context.qemu, .kernel = context.kernel, .initrd = context.initrd});
    if (!answer.usable) std::println(stderr, "runvm: emulating, which is some ten times slower: {}", answer.why);
    return answer.usable;
}

Result<Outcome> run(const RunOptions &options) {
    Machine machine;
    auto folders = describe_machine(options, machine);
    if (!folders) return std::unexpected(folders.error());
    auto directory = RunDirectory::make(folders->run_directory);
    if (!directory) return std::unexpected(directory.error());
    machine.shares.push_back({std::string(mounts::protocol::store_tag), machine.store, true});
    machine.shares.push_back({std::string(mounts::protocol::xchg_tag), directory->xchg(), false});
    machine.shares.push_back(
        {std::string(mounts::protocol::shared_tag), folders->shared.empty() ? directory->xchg() : folders->shared, false});

    RunContext context{.qemu = options.qemu,
                       .qemu_major = qemu_major(options.qemu),
                       .terminal = ::isatty(0) == 1 && ::isatty(1) == 1,
                       .root = ::geteuid() == 0};
    auto initrd = initrd_file(machine, options);
    if (!initrd) return std::unexpected(initrd.error());
    context.initrd = *initrd;
    context.kernel = machine.kernel;
    context.kvm = choose_kvm(options, context);
    if (!context.kvm) context.kernel = uncompressed_kernel(machine.kernel);
    if (options.print) {
        std::println("{}", quoted(qemu_argv(machine, context)));
        return Outcome{};
    }
    if (!machine.disk_image.empty()) {
        auto created = ensure_image(machine.disk_image, machine.disk_size_mib, options.qemu_img);
        if (!created) return std::unexpected(created.error());
        if (*created) std::println(stderr, "runvm: created {} ({} MiB)", machine.disk_image, machine.disk_size_mib);
    }
    auto ports = make_ports();
    if (!ports) return std::unexpected(ports.error());
    context.status_fd = ports->status_qemu.get();
    context.qmp_fd = ports->qmp_qemu.get();
    SuperviseOptions supervision;
    if (options.timeout_s > 0) supervision.timeout = std::chrono::seconds(options.timeout_s);
    return supervise(qemu_argv(machine, context), std::move(*ports), supervision);
}

}  // namespace

void add_run_command(CLI::App &app, int &status) {
    auto o = std::make_shared<RunOptions>();
    CLI::App *c = app.add_subcommand("run", "start a machine and wait for its end");
    c->add_option("--store", o->store, "the store that the guest sees as /nix/store, read-only");
    c->add_option("--toplevel", o->toplevel, "a NixOS system, as a path of the guest's store");
    c->add_option("--kernel", o->kernel, "kernel, instead of the toplevel's");
    c->add_option("--initrd", o->initrd, "a ready initrd, instead of one made of stage1 and modules");
    c->add_option("--modules", o->modules, "folder of the kernel's modules (…/lib/modules/RELEASE)");
    c->add_option("--module", o->extra_modules, "a module beyond the default ones (repeatable)");
    c->add_option("--init", o->init, "stage 2, a path in the guest");
    c->add_option("--append", o->parameters, "kernel parameters (repeatable)");
    c->add_option("--reginfo", o->reginfo, "registration of the closure, a path in the guest");
    c->add_option("--union", o->store_union, "the writable store's place: off, tmpfs, disk")
        ->check(CLI::IsMember({"off", "tmpfs", "disk"}));
    c->add_option("--disk-image", o->disk_image, "image of the root disk, made when absent; empty: root on tmpfs");
    c->add_option("--disk-size", o->disk_size_mib, "MiB of a new disk image");
    c->add_option("--memory", o->memory_mib, "MiB of the machine")->check(CLI::Range(64, 1 << 24));
    c->add_option("--cores", o->cores, "CPUs of the machine")->check(CLI::Range(1, 512));
    c->add_option("--name", o->name, "name of the machine and of its disk image");
    c->add_option("--stage1", o->stage1, "the stage1 binary for the initrd (default: beside runvm)");
    c->add_option("--qemu", o->qemu, "the QEMU to run")->capture_default_str();
    c->add_option("--qemu-img", o->qemu_img, "the qemu-img to make images with")->capture_default_str();
    c->add_option("--accel", o->accel, "auto, kvm or tcg")->check(CLI::IsMember({"auto", "kvm", "tcg"}))->capture_default_str();
    c->add_option("--timeout", o->timeout_s, "seconds after which the machine is stopped; 0: never")
        ->check(CLI::NonNegativeNumber);
    c->add_flag("--graphics", o->graphics, "a window instead of the serial console");
    c->add_flag("--print", o->print, "print QEMU's command line, quoted to be pasted, and stop");
    c->add_option("qemu-arguments", o->qemu_arguments, "after --: arguments for QEMU, as they are");
    c->callback([o, &status] {
        const auto outcome = run(*o);
        if (!outcome)
            std::println(stderr, "runvm: {}", message(outcome.error()));
        else if (!outcome->message.empty())
            std::println(stderr, "runvm: {}", outcome->message);
        status = outcome ? outcome->exit_code : exit_launcher_error;
    });
}

void add_initrd_command(CLI::App &app, int &status) {
    auto o = std::make_shared<RunOptions>();
    CLI::App *c = app.add_subcommand("initrd", "write the initrd: stage1 and the modules that it needs");
    c->add_option("--modules", o->modules,
                  "folder of the kernel's modules (…/lib/modules/RELEASE); none: everything is built in");
    c->add_option("--module", o->extra_modules, "a module beyond the default ones (repeatable)");
    c->add_option("--stage1", o->stage1, "the stage1 binary (default: beside runvm)");
    c->add_option("--output,-o", o->output, "the file to write")->required();
    c->callback([o, &status] {
        const auto archive = make_initrd(
            {o->stage1.empty() ? beside_ourselves("stage1") : o->stage1, o->modules.value_or(""), o->extra_modules, {}});
        const auto written = archive ? base::replace_file(o->output, *archive) : Result<>(std::unexpected(archive.error()));
        if (!written) std::println(stderr, "runvm: {}", message(written.error()));
        status = written ? 0 : exit_launcher_error;
    });
}

}  // namespace hostside

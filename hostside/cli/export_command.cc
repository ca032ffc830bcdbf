#include "hostside/cli/export_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>
#include <format>
#include <memory>

#include "hostside/base/exists.h"
#include "hostside/base/printable.h"
#include "hostside/boot/boot_files.h"
#include "hostside/boot/kernel_command_line.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/reporter.h"
#include "hostside/export/kubevirt_machine.h"
#include "hostside/export/libvirt_domain.h"
#include "hostside/export/nomad_job.h"
#include "hostside/export/systemd_unit.h"
#include "hostside/launch/prepare.h"
#include "mounts/base/at.h"
#include "mounts/base/shell_words.h"

namespace hostside {

namespace {

namespace fs = std::filesystem;

struct ExportWish {
    std::string format = "systemd", image;
};

using base::fail;
using base::Result;

// The runvm command for the service manager.
std::vector<std::string> words_of(const Arguments &arguments) {
    std::vector<std::string> words{fs::read_symlink("/proc/self/exe"), "run"};
    if (arguments.notify_ready) words.emplace_back("--notify-ready");
    for (auto &word : description_words(arguments)) words.push_back(std::move(word));
    if (!arguments.extra.empty()) words.emplace_back("--");
    words.insert(words.end(), arguments.extra.begin(), arguments.extra.end());
    return words;
}

Result<std::string> unit_of(const Machine &machine, const Arguments &arguments) {
    const std::string directory = fs::current_path();
    // Each must fit on one line. Names of running machines contain no control characters either.
    for (const auto &text : {directory, machine.name})
        if (text.empty() || printable(text) != text)
            return fail(0, "export", text, "it is empty or has control characters, which a unit cannot contain");
    return systemd_unit(
        {.name = machine.name, .words = words_of(arguments), .directory = directory, .notify_ready = arguments.notify_ready});
}

// Writes the initrd beside the exported file, unless the description names one.
Result<std::string> initrd_beside(const Machine &machine, const std::string &output) {
    if (!machine.initrd.empty()) return machine.initrd;
    if (output.empty() || output == "-")
        return fail(0, "export", "", "name a file with -o, because the machine's initrd is written beside it");
    auto bytes = complete_initrd(machine);
    if (!bytes) return bytes;
    std::string path = fs::absolute(output).lexically_normal().string() + ".initrd";
    if (auto written = base::replace_file(path, *bytes); !written) return std::unexpected(written.error());
    return path;
}

// What boots, except the initrd. Reads this host; has no effect.
Result<Exported> boots(Machine machine, const std::string &store_kind) {
    make_paths_absolute(machine);
    if (machine.store_kind == "auto") machine.store_kind = store_kind;
    auto boot = boot_of(machine);
    if (!boot) return std::unexpected(boot.error());
    if (boot->kernel.empty())
        return fail(0, "find kernel", machine.toplevel, "name a NixOS system with --toplevel, or pass --kernel FILE");
    auto parts = command_line_parts(boot->command_line);
    if (!parts) return std::unexpected(parts.error());
    if (!parts->parameters.empty() && !machine.initrd.empty())
        return fail(0, "export", "kernelParams", "they are too long for a kernel, and your own initrd cannot hold the rest");
    if (machine.accelerator == "tcg") add_parameter(parts->line, "no_timer_check");  // see plan_launch()
    return Exported{
        .machine = std::move(machine), .kernel = boot->kernel, .initrd = "", .command_line = std::move(parts->line), .qemu = ""};
}

Result<std::string> domain_of(const Machine &machine, const std::string &output) {
    auto exported = boots(machine, "9p");
    if (!exported) return std::unexpected(exported.error());
    const Machine &m = exported->machine;
    if (m.qemu.starts_with('/')) exported->qemu = m.qemu;
    if (auto ok = libvirt_domain(*exported); !ok) return ok;
    if (!m.disk_image.empty() && !exists(m.disk_image))
        return fail(errno, "export", m.disk_image,
                    std::format("libvirt does not create disks; create it: qemu-img create -f {} {} {}M", m.disk_image_format,
                                base::quote_word(m.disk_image), m.disk_mib));
    auto initrd = initrd_beside(m, output);
    if (!initrd) return initrd;
    exported->initrd = *initrd;
    return libvirt_domain(*exported);
}

Result<std::string> kubevirt_of(const Machine &machine, const std::string &output, const std::string &image) {
    if (image.empty())
        return fail(0, "export", "",
                    "a cluster's nodes do not have this host's files; pass --container-image with an image that has "
                    "/boot/kernel, /boot/initrd and /disk/store.erofs");
    auto exported = boots(machine, "erofs");
    if (!exported) return std::unexpected(exported.error());
    auto text = kubevirt_machine(*exported, image);
    if (!text) return text;
    auto initrd = initrd_beside(exported->machine, output);
    if (!initrd) return initrd;
    say(std::format("{} must have {} as /boot/kernel, {} as /boot/initrd{}", image, exported->kernel, *initrd,
                    exported->machine.store.empty() ? "" : ", and an erofs image of the system's closure as /disk/store.erofs"));
    return text;
}

int write_exported(const Arguments &arguments, const ExportWish &wish) {
    const auto machine = machine_of(arguments);
    if (!machine) return refuse(machine.error());
    std::error_code error;
    if (fs::is_fifo(arguments.config, error) && (wish.format == "systemd" || wish.format == "nomad"))
        return refuse(
            {"export", arguments.config, 0, "this pipe will not exist when the machine starts; name a file with --config"});
    if (!arguments.extra.empty() && (wish.format == "libvirt" || wish.format == "kubevirt"))
        return refuse({"export", "--", 0, "options for QEMU cannot be passed to " + wish.format});
    const auto text =
        wish.format == "libvirt"    ? domain_of(*machine, arguments.output)
        : wish.format == "kubevirt" ? kubevirt_of(*machine, arguments.output, wish.image)
        : wish.format == "nomad"
            ? Result<std::string>(nomad_job({.machine = *machine, .words = words_of(arguments), .directory = fs::current_path()}))
            : unit_of(*machine, arguments);
    if (!text) return refuse(text.error());
    const auto done = arguments.output.empty() || arguments.output == "-" ? base::write_all(STDOUT_FILENO, *text, "stdout")
                                                                          : base::replace_file(arguments.output, *text);
    return done ? 0 : refuse(done.error());
}

}  // namespace

void add_export_command(CLI::App &app, int &status) {
    auto arguments = std::make_shared<Arguments>();
    auto wish = std::make_shared<ExportWish>();
    CLI::App *command = app.add_subcommand("export", "export a machine for systemd, libvirt, Nomad or KubeVirt");
    add_description_flags(*command, *arguments);
    command->add_option("--format", wish->format, "what to write: a unit, a job, a domain or a VirtualMachine")
        ->type_name("systemd|nomad|libvirt|kubevirt")
        ->check(CLI::IsMember({"systemd", "nomad", "libvirt", "kubevirt"}).description(""));
    command->add_option("--container-image", wish->image, "for KubeVirt: the container image with kernel, initrd and store")
        ->type_name("IMAGE");
    command->add_flag("--notify-ready", arguments->notify_ready,
                      "the unit counts as started when the guest reports that it is ready");
    command
        ->add_option("-o,--output", arguments->output,
                     "the file to write, such as /etc/systemd/system/NAME.service; default: standard output")
        ->type_name("FILE");
    command->callback([&status, arguments, wish] { status = write_exported(*arguments, *wish); });
}

}  // namespace hostside

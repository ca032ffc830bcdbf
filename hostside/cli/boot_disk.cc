#include "hostside/cli/boot_disk.h"

#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <format>
#include <utility>

#include "hostside/base/exists.h"
#include "hostside/base/line_reader.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/reporter.h"
#include "hostside/cli/within_machine.h"
#include "hostside/exec/client.h"
#include "hostside/host/image.h"
#include "hostside/host/root_disk.h"
#include "hostside/launch/boot_disk.h"
#include "hostside/launch/prepare.h"
#include "hostside/qemu/program.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::fail;
using base::Fd;
using base::Result;
using mounts::exec::End;

constexpr std::string_view making = "make boot disk";
constexpr const char *initrd_place = "/run/runvm-initrd";

// A new image; removed unless put_at succeeds.
class NewImage {
  public:
    // Has an unpredictable name, because others may be able to write to the directory.
    explicit NewImage(const std::string &at) {
        uint64_t random = 0;
        if (::getrandom(&random, sizeof random, 0) == sizeof random) path_ = std::format("{}.new-{:016x}", at, random);
    }
    NewImage(const NewImage &) = delete;
    NewImage &operator=(const NewImage &) = delete;
    ~NewImage() {
        if (path_.empty()) return;
        for (const auto &file : {path_, made_variables_of(path_)}) (void)::unlink(file.c_str());
    }
    [[nodiscard]] const std::string &path() const { return path_; }

    // At no time is there a disk whose stamp is wrong, or a disk made by runvm without a stamp.
    [[nodiscard]] Result<> put_at(const std::string &path, const std::string &made_of) const {
        const std::string stamp = stamp_of(path);
        if (!exists(stamp))
            if (auto begun = base::replace_file(stamp, "\n"); !begun) return begun;
        const std::string variables = made_variables_of(path_);
        if (exists(variables) && ::rename(variables.c_str(), made_variables_of(path).c_str()) < 0)
            return fail(errno, making, path);
        if (::rename(path_.c_str(), path.c_str()) < 0) return fail(errno, making, path);
        return base::replace_file(stamp, made_of);
    }

  private:
    std::string path_;
};

Result<> put_initrd(const ExecWish &machine, const std::string &bytes) {
    const Fd file(::memfd_create("initrd", MFD_CLOEXEC));
    if (!file) return fail(errno, making, "initrd");
    if (auto written = base::write_all(file.get(), bytes, "initrd"); !written) return written;
    if (::lseek(file.get(), 0, SEEK_SET) < 0) return fail(errno, making, "initrd");
    ExecWish put{.machine = machine.machine, .run_directory = machine.run_directory, .patience_s = machine.patience_s};
    put.request.task = std::format("put 644 {}", initrd_place);
    put.streams.input = file.get();
    const auto end = run_in_guest(put);
    if (!end) return std::unexpected(end.error());
    return end->kind == End::exited && end->code == 0 ? Result<>() : fail(0, making, "initrd", end->text);
}

// Prints the last lines of the guest's output.
void say_end_of(const std::string &text) {
    constexpr size_t enough_bytes = 2000;
    for (const auto &line : LineReader(enough_bytes).take(text.substr(text.size() - std::min(text.size(), enough_bytes)) + "\n"))
        if (!line.empty()) say(line);
}

Result<int> install(const ExecWish &machine, const BootDiskRecipe &recipe, const std::string &initrd) {
    if (auto put = put_initrd(machine, initrd); !put) return std::unexpected(put.error());
    std::string said;
    const auto listen = [&](std::string_view text) {
        constexpr size_t limit_bytes = size_t{64} << 10;
        said += text;
        if (said.size() > 2 * limit_bytes) said.erase(0, said.size() - limit_bytes);
        return true;
    };
    ExecWish wish{.machine = machine.machine, .run_directory = machine.run_directory};
    wish.request.argv = {"sh", "-c", recipe.script, "boot-disk", recipe.toplevel, initrd_place};
    wish.streams.take_output = wish.streams.take_errors = listen;
    const auto end = run_in_guest(wish);
    if (!end) return std::unexpected(end.error());
    if (end->kind == End::exited && end->code == 0) return 0;
    say_end_of(said);
    const std::string &disk = recipe.booted.boot_disk;
    if (end->kind == End::exited && end->code == boot_disk_full)
        return fail(ENOSPC, making, disk,
                    std::format("{} MiB is too small for the kernel, initrd and boot loader; pass a larger --boot-disk-size",
                                recipe.booted.boot_disk_mib));
    if (end->kind == End::failed) return fail(0, making, disk, end->text);
    const std::string how = end->kind == End::exited ? "ended with status" : "was ended by signal";
    return fail(0, making, disk,
                std::format("the system's installer {} {}; its output is above", how, static_cast<int>(end->code)));
}

Result<> may_be_made(const Machine &m) {
    if (m.toplevel.empty())
        return fail(0, making, m.boot_disk, "a boot disk is made from a NixOS system; name one with --toplevel");
    if (m.boot_disk_format != "qcow2")
        return fail(0, making, m.boot_disk, "runvm makes only qcow2 boot disks; pass --boot-disk-format qcow2");
    if (exists(m.boot_disk) && !is_made_boot_disk(m.boot_disk))
        return fail(EEXIST, making, m.boot_disk, "runvm did not make this file; name another one with --boot-disk");
    return {};
}

}  // namespace

int make_boot_disk(const Machine &m, bool json) {
    const Reporter report(json, nullptr);
    if (auto may = may_be_made(m); !may) return report.refuse(may.error());
    const NewImage image(m.boot_disk);
    if (image.path().empty()) return report.refuse({std::string(making), m.boot_disk, errno, ""});
    auto recipe = boot_disk_recipe(m, image.path());
    if (!recipe) return report.refuse(recipe.error());
    auto initrd = complete_initrd(recipe->booted);
    if (!initrd) return report.refuse(initrd.error());
    auto qemu = find_qemu(m.qemu);
    if (!qemu) return report.refuse(qemu.error());
    report.progress(std::format("making the boot disk {} from {}", m.boot_disk, recipe->toplevel));
    const auto made = ensure_image(*qemu, image.path(), m.boot_disk_mib);
    if (!made) return report.refuse(made.error());
    if (!*made) return report.refuse({std::string(making), image.path(), EEXIST, "remove it"});
    Arguments maker;
    maker.decided = recipe->maker;
    maker.quiet = true;
    const int status = work_within(maker, "", [&](const ExecWish &machine) { return install(machine, *recipe, *initrd); });
    if (status != 0) return status;
    const auto put = image.put_at(m.boot_disk, recipe->made_of);
    return put ? 0 : report.refuse(put.error());
}

int provide_boot_disk(Arguments &arguments) {
    const Reporter report(arguments.json, nullptr);
    auto machine = machine_of(arguments);
    if (!machine) return report.refuse(machine.error());
    // Keep the result, because the description may be a pipe, which can be read only once.
    arguments.decided = *machine;
    const Machine &m = *machine;
    if (!m.use_boot_loader || m.toplevel.empty() || arguments.print) return 0;
    if (exists(m.boot_disk)) {
        if (!is_made_boot_disk(m.boot_disk)) return 0;
        const auto recipe = boot_disk_recipe(m, "");
        if (!recipe) return report.refuse(recipe.error());
        if (is_made_of(m.boot_disk, *recipe)) return 0;
    }
    return make_boot_disk(m, arguments.json);
}

}  // namespace hostside

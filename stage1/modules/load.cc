#include "stage1/modules/load.h"

#include <fcntl.h>
#include <linux/module.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <format>
#include <mutex>
#include <ranges>
#include <thread>

#include "mounts/base/at.h"
#include "mounts/base/log.h"
#include "mounts/kernel/decompress.h"
#include "mounts/protocol.h"

namespace stage1 {

namespace {

using base::fail;
using base::Result;

bool kernel_has_file_system(std::string_view name) {
    const auto text = base::read_file("/proc/filesystems");
    if (!text) return false;
    for (auto line : std::views::split(*text, '\n'))
        if (const std::string_view entry(line); entry.substr(entry.find('\t') + 1) == name) return true;
    return false;
}

// The modaliases of devices in sysfs. Reads only the buses that a boot needs, because there are hundreds of other devices.
std::vector<std::string> device_aliases() {
    std::vector<std::string> aliases;
    for (const char *bus : {"/sys/bus/virtio/devices", "/sys/bus/pci/devices", "/sys/bus/scsi/devices"}) {
        std::error_code error;
        for (const auto &device : std::filesystem::directory_iterator(bus, error)) {
            // Skip devices that already have a driver.
            if (std::filesystem::exists(device.path() / "driver", error)) continue;
            auto alias = base::read_file(device.path() / "modalias", 4096);
            if (!alias) continue;
            while (alias->ends_with('\n')) alias->pop_back();
            aliases.push_back(std::move(*alias));
        }
    }
    return aliases;
}

std::string kernel_release() {
    utsname names{};
    return ::uname(&names) == 0 ? names.release : "";
}

std::string hint_for(int code) {
    switch (code) {
    case ENOEXEC: return "not a module of this kernel, or damaged";
    case EINVAL: return "one of its parameters on the kernel's command line may have an invalid value";
    case EKEYREJECTED:
    case ENOKEY: return "the kernel enforces module signatures, and this one has none that it trusts";
    case ENOENT: return "it uses a symbol that neither the kernel nor a loaded module has";
    default: return {};
    }
}

// All kernel parameters. Those that belong to no module, or cannot be read, affect no module.
std::vector<mounts::Parameter> kernel_parameters() {
    auto parameters = mounts::parse_command_line(base::read_file("/proc/cmdline").value_or(""));
    for (auto &more : mounts::parse_command_line(base::read_file(std::string(mounts::protocol::parameters_file)).value_or("")))
        parameters.push_back(std::move(more));
    return parameters;
}

// A kernel decompresses only one format (ABI/testing/sysfs-module) and complains on the console about any other.
bool kernel_unpacks(std::string_view path) {
    const std::string kind = base::read_file("/sys/module/compression").value_or("");
    return path.ends_with(kind == "gzip\n" ? ".gz" : kind == "xz\n" ? ".xz" : kind == "zstd\n" ? ".zst" : "/");
}

}  // namespace

Result<Modules> Modules::open(const std::string &root) {
    const std::string directory = std::format("{}/lib/modules/{}", root, kernel_release());
    const auto text = [&](const char *name) { return base::read_file(directory + "/" + name).value_or(""); };
    return Modules(
        directory,
        mounts::ModuleIndex({text("modules.dep"), text("modules.alias"), text("modules.softdep"), text("modules.builtin")}),
        kernel_parameters());
}

Result<> Modules::load_file(const std::string &path) const {
    const std::string file = directory_ + "/" + path;
    auto fd = base::open_at(AT_FDCWD, file, O_RDONLY);
    if (!fd) return std::unexpected(fd.error());
    const std::string options = mounts::module_options(parameters_, mounts::module_name(path));
    const bool compressed = !path.ends_with(".ko");
    if (!compressed || kernel_unpacks(path)) {
        if (::syscall(SYS_finit_module, fd->get(), options.c_str(), compressed ? MODULE_INIT_COMPRESSED_FILE : 0) == 0) return {};
        if (errno == EEXIST) return {};
        if (!compressed) return fail(errno, "load module", file, hint_for(errno));
    }
    // This kernel does not decompress this format (CONFIG_MODULE_DECOMPRESS, Linux 5.17), so decompress it here.
    auto image = mounts::decompress_module(fd->get(), file);
    if (!image) return std::unexpected(image.error());
    if (::syscall(SYS_init_module, image->data(), image->size(), options.c_str()) == 0 || errno == EEXIST) return {};
    return fail(errno, "load module", file, hint_for(errno));
}

Result<size_t> Modules::run(const mounts::ModulePlan &plan) {
    std::vector<std::atomic<bool>> done(plan.steps.size());
    std::atomic<size_t> next = 0;
    std::atomic<size_t> count = 0;
    std::mutex mutex;  // guards loaded_ and first_error
    std::optional<base::Error> first_error;
    const auto work = [&] {
        for (size_t i = next++; i < plan.steps.size(); i = next++) {
            for (const size_t need : plan.steps[i].after) done[need].wait(false);
            bool fresh = false;
            {
                const std::scoped_lock lock(mutex);
                fresh = !first_error && !loaded_.contains(plan.steps[i].path);
            }
            const auto loaded = fresh ? load_file(plan.steps[i].path) : Result<>{};
            {
                const std::scoped_lock lock(mutex);
                if (fresh && loaded) loaded_.insert(plan.steps[i].path), ++count;
                if (!loaded && !first_error) first_error = loaded.error();
            }
            done[i] = true;
            done[i].notify_all();
        }
    };
    // Dependencies have lower indices, and indices are taken in order, so the lowest unfinished one can always run.
    const size_t workers = std::min<size_t>(std::max(1U, std::thread::hardware_concurrency()), plan.steps.size());
    std::vector<std::thread> threads;
    for (size_t i = 1; i < workers; ++i) threads.emplace_back(work);
    work();
    for (auto &thread : threads) thread.join();
    if (first_error) return std::unexpected(*first_error);
    return count.load();
}

Result<Modules::Outcome> Modules::load(const std::vector<std::string> &names) {
    const mounts::ModulePlan plan = index_.plan(names);
    auto loaded = run(plan);
    if (!loaded) return std::unexpected(loaded.error());
    Outcome outcome{.loaded = *loaded};
    for (const auto &name : plan.missing)
        // crc32c and the like are optional: the kernel has an alternative, or reports what it lacks.
        if (name.starts_with("fs-") && !kernel_has_file_system(name.substr(3))) outcome.missing.push_back(name.substr(3));
    return outcome;
}

Result<size_t> Modules::load_for_devices() {
    size_t total = 0;
    for (;;) {
        std::vector<std::string> drivers;
        for (const auto &alias : device_aliases())
            for (auto &driver : index_.drivers_of(alias)) drivers.push_back(std::move(driver));
        auto loaded = run(index_.plan(drivers));
        if (!loaded) return loaded;
        if (*loaded == 0) return total;
        total += *loaded;
    }
}

int modprobe(int argc, char **argv) {
    std::vector<std::string> names;
    for (int i = 1; i < argc; ++i)
        if (argv[i][0] != '-') names.emplace_back(argv[i]);
    auto modules = Modules::open();
    if (!modules) return 1;
    const auto outcome = modules->load(names);
    if (!outcome) base::log(outcome.error());
    return outcome && outcome->missing.empty() ? 0 : 1;
}

}  // namespace stage1

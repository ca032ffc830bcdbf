#include "unionfs/command/command.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <print>

#include "mounts/base/at.h"
#include "unionfs/command/mode.h"
#include "unionfs/command/options.h"
#include "unionfs/fuse/capabilities.h"
#include "unionfs/fuse/session.h"
#include "unionfs/recovery/supervisor.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

namespace {

int refuse(const base::Error &error) {
    std::println(stderr, "unionfs: {}", base::message(error));
    return 1;
}

// Raises the descriptor limit as far as needed: for the cache, for removed files, and for a reserve. The reserve covers the
// layers and what each thread opens while it serves a request.
void fit_descriptors(Options &options) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    const rlim_t reserve = 512 + options.lowers.size();
    const rlim_t wanted = options.max_files + options.max_orphans + reserve;
    const rlimit before = limit;
    limit.rlim_cur = limit.rlim_max = std::max(limit.rlim_max, wanted);
    if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) {  // only root can raise the hard limit
        limit = before;
        limit.rlim_cur = limit.rlim_max;
        (void)::setrlimit(RLIMIT_NOFILE, &limit);  // if the limit is too low, both options shrink below
    }
    if (::getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted) return;
    const rlim_t left = limit.rlim_cur > reserve ? limit.rlim_cur - reserve : 0;
    options.max_files = static_cast<unsigned>(std::clamp<rlim_t>(left / 2, 64, options.max_files));
    options.max_orphans = static_cast<unsigned>(left > options.max_files ? left - options.max_files : 0);
    options.max_orphans = std::min(options.max_orphans, Options().max_orphans);
}

// Grows the descriptor table to its full size before the worker shares it. If it grew later, a thread that opens a file would
// wait until all processors have seen the new table, about 10 ms (expand_fdtable in linux/fs/file.c).
void make_room_for_descriptors(unsigned cached) {
    const int last = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, static_cast<int>(cached + 255));
    if (last >= 0) ::close(last);  // slower without, but correct
}

// A daemon that serves the root file system must not be killed at shutdown. Stage 1 and systemd spare a process whose command
// line begins with `@` (systemd: Root Storage Daemons). The kernel's OOM killer spares one with this score.
void settle() {
    (void)::setsid();
    if (!keep_descriptors_reachable()) (void)::chdir("/");
    if (::geteuid() == 0) program_invocation_name[0] = '@';
    const base::Fd score(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
    if (score) (void)!::write(score.get(), "-1000", 5);  // without root, this fails and doesn't matter
    const base::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (int fd = 0; null && fd <= 2; ++fd) ::dup2(null.get(), fd);
}

// The kernel reads only 128 KiB ahead on a FUSE mount, whatever INIT asks for. Root may raise that.
void widen_readahead(const std::string &mountpoint) {
    struct stat status{};
    if (::stat(mountpoint.c_str(), &status) < 0) return;
    const std::string path =
        "/sys/class/bdi/" + std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev)) + "/read_ahead_kb";
    const base::Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (fd) (void)!::write(fd.get(), "1024", 4);  // slower without, but correct
}

// Prints what the user might not expect of this mount. Call this once INIT was answered.
void tell_limits(const Union &fs) {
    const Handover &handover = handover_of(fs.memory);
    if (handover.over_io_uring)
        std::println(stderr,
                     "unionfs: io_uring=on: if the daemon crashes, the mount is lost, because the kernel doesn't resend io_uring "
                     "requests");
    else if (!handover.kernel_resends)
        std::println(
            stderr,
            "unionfs: if the daemon crashes, the mount is lost, because this kernel can't resend requests (Linux 6.9 can)");
    if (fs.options.io_uring && !handover.over_io_uring)
        std::println(stderr, "unionfs: io_uring=on: {}, so requests come through /dev/fuse",
                     handover.io_uring_error != 0 ? "the kernel refuses it (" + base::errno_text(handover.io_uring_error) + ")"
                                                  : "this kernel doesn't offer it (Linux 6.14 with fuse.enable_uring=1 does)");
}

int work(Union &fs, const FuseDevice &device, Mode mode, std::vector<int> kept, int ready_fd) {
    give_up_capability(CAP_SYS_RESOURCE);  // disk quotas hold for what we write for others, as with overlayfs
    if (const Handover &handover = handover_of(fs.memory); handover.init_size == 0) {
        fs.make_root();
    } else {
        std::ranges::copy(fs.table.orphans(), std::back_inserter(kept));
        if (fs.trace) kept.push_back(fs.trace->fd());
        ask_to_resend(device);
        close_all_but(std::move(kept));
        std::vector<std::string> in_use;
        std::ranges::transform(fs.table.orphan_names(), std::back_inserter(in_use), Layers::orphan_entry);
        if (fs.layers.work) fs.layers.clean_work(std::move(in_use));
        fs.restore();
    }
    const auto result = serve(fs, device, mode, [&] {
        if (ready_fd < 0) tell_limits(fs);
        if (ready_fd >= 0) (void)!::write(ready_fd, "", 1);  // a parent that is gone doesn't wait
    });
    // What is left are removed files that were in use until the end. The whiteout stays: an overlayfs that is mounted now clears
    // the directory itself, and fails with EINVAL if a name there goes away meanwhile (Linux, fs/overlayfs/dir.c).
    if (result && fs.layers.work) fs.layers.clean_work({Layers::shared_whiteout});
    return result ? 0 : 1;
}

int serve_here(Union &fs, const FuseDevice &device, Mode mode, int ready_fd) {
    make_room_for_descriptors(fs.options.max_files);
    return supervise({.mountpoint = fs.options.mountpoint,
                      .has_terminal = fs.options.foreground,
                      .handover = handover_of(fs.memory),
                      .work = [&](const std::vector<int> &kept) { return work(fs, device, mode, kept, ready_fd); },
                      .unmount = [&] { unmount_device(fs.options); }});
}

int serve_detached(Union &fs, const FuseDevice &device, Mode mode) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return refuse({"pipe", "unionfs", errno, ""});
    const base::Fd read_end(ends[0]);
    base::Fd write_end(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) return refuse({"fork", "unionfs", errno, ""});
    if (child == 0) {
        settle();
        ::_exit(serve_here(fs, device, mode, write_end.get()));
    }
    write_end.reset();
    char ready = 0;
    ssize_t n = -1;
    do n = ::read(read_end.get(), &ready, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1) {
        unmount_device(fs.options);
        return refuse({"unionfs", fs.options.mountpoint, 0, "the daemon ended before the mount was usable"});
    }
    widen_readahead(fs.options.mountpoint);
    tell_limits(fs);
    return 0;
}

}  // namespace

int command_main(int argc, char **argv) {
    auto options = parse_options({argv + 1, argv + argc});
    if (!options) return refuse(options.error());
    if (options->help) {
        std::print("{}", options_help);
        return 0;
    }
    if (options->version) {
        std::println("unionfs " STAGE1_VERSION);
        return 0;
    }
    if (options->remount) {
        const auto result = remount(*options);
        return result ? 0 : refuse(result.error());
    }
    ::signal(SIGXFSZ, SIG_IGN);  // a limit of the file size (ulimit -f) is an error, not our end
    fit_descriptors(*options);
    SharedMemory memory;
    if (auto result = memory.make(); !result) return refuse(result.error());
    if (char *full = ::realpath(options->mountpoint.c_str(), nullptr)) {
        options->mountpoint = full;  // because we leave the working directory
        std::free(full);
    }
    Layers layers(std::move(*options));
    if (auto result = layers.open(); !result) return refuse(result.error());
    Union fs(layers, memory);
    if (!fs.options.trace.empty()) {
        auto trace = open_name_trace(fs.options.trace);
        if (!trace) return refuse(trace.error());
        fs.trace = std::move(*trace);
    }
    auto device = mount_device(fs.options);
    if (!device) return refuse(device.error());
    layers.own_device = device_at(fs.options.mountpoint);
    if (!device->complaint.empty()) std::println(stderr, "unionfs: {}", device->complaint);
    Mode mode = fs.options.mode;
    if (mode == Mode::automatic) {
        const Choice choice = choose_mode(look(fs, device->rootless));
        mode = choice.mode;
        std::println(stderr, "unionfs: mode=auto: {}: {}", mode == Mode::store ? "store" : "throughput", choice.reason);
    }
    if (!fs.options.foreground) return serve_detached(fs, *device, mode);
    return serve_here(fs, *device, mode, -1);
}

}  // namespace unionfs

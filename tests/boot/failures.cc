// Deliberate failures, and the last output that a person reads. Each test asserts the exit status, and that the last ten lines
// have the cause and the remedy. Whatever the host can detect is refused without a boot.

#include <sys/mount.h>

#include <catch_amalgamated.hpp>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>

#include "tests/boot/console.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

using boot_test::Boot;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

std::string last_lines(const std::string &text) {
    constexpr int most = 10;
    size_t at = text.size();
    for (int i = 0; i <= most && at != std::string::npos && at > 0; ++i) at = text.rfind('\n', at - 1);
    return at == std::string::npos ? text : text.substr(at + 1);
}

// The last kernel timestamp on the console in whole seconds since the guest's boot; 0 if there is none.
int guest_seconds(const std::string &console) {
    int seconds = 0;
    for (size_t at = console.find("\n["); at != std::string::npos; at = console.find("\n[", at + 1)) {
        const size_t digit = console.find_first_not_of(' ', at + 2), end = console.find_first_not_of("0123456789", digit);
        constexpr size_t most_digits = 6;
        if (end != std::string::npos && end > digit && end - digit < most_digits && console[end] == '.')
            seconds = std::stoi(console.substr(digit, end - digit));
    }
    return seconds;
}

void check_words(const Boot &b, int exit_code, const std::vector<std::string> &words) {
    const std::string last = last_lines(b.console);
    INFO(last);
    CHECK(b.exit_code == exit_code);
    // Far above what any of these boots takes on a slow machine, and far below the timeout.
    constexpr int most_guest_seconds = 180;
    CHECK(guest_seconds(b.console) < most_guest_seconds);
    for (const auto &word : words) CHECK_THAT(last, ContainsSubstring(word));
}

struct Refusal {
    std::vector<std::string> parameters, arguments;
    std::vector<std::string> words;
};

std::vector<Refusal> refused_parameters() {
    return {
        {{"stage1.unoin=disk"}, {}, {"kernel parameter 'stage1.unoin'", "did you mean stage1.union?"}},
        {{"stage1.union=dsik"}, {}, {"kernel parameter 'stage1.union=dsik': expected off | tmpfs | disk"}},
        {{"stage1.union.engine=steam"}, {}, {"expected auto | overlay | fuse"}},
        {{"stage1.union.options=colour"}, {}, {"'stage1.union.options=colour'", "unionfs(8)"}},
        {{"stage1.register=maybe"}, {}, {"expected auto | strict | off"}},
        {{"stage1.device-timeout=soon"}, {}, {"expected seconds from 0 to 3600"}},
        {{"stage1.break=lunch"}, {}, {"expected a phase: modules devices mounts"}},
        {{"stage1.share=x"}, {}, {"expected TAG:TARGET[:OPTIONS]"}},
        {{"stage1.share=x:/a/../b"}, {}, {"a TARGET without '..'"}},
        {{"stage1.share=x:/proc/x"}, {}, {"nothing can be shared at /proc/x", "choose another target, as /mnt/x"}},
        {{"stage1.share=x:/"}, {}, {"it is the root"}},
        {{"stage1.share=x:/nix/store"}, {}, {"it is the store's"}},
        {{"stage1.share=x:/run"}, {}, {"a directory in it will do"}},
        {{"init=sbin/init"}, {}, {"'init=sbin/init'", "absolute path"}},
        {{"init=/nix/store/none/init"}, {}, {"find init '/nix/store/none/init'", "is init= in its closure?"}},
        {{"root=gpt-auto"}, {}, {"gpt-auto"}},
    };
}

// A file that contains only `text`.
std::vector<Refusal> refused_files(const std::string &text) {
    return {
        {{}, {"--kernel", text}, {"read kernel '" + text + "': it is not an x86 kernel", "name one with --kernel"}},
        {{}, {"--kernel", "/no/kernel"}, {"open kernel '/no/kernel': No such file", "name one with --kernel"}},
        {{}, {"--kernel", "/"}, {"it is not a regular file"}},
        {{}, {"--initrd", "/no/initrd"}, {"open initrd '/no/initrd'", "or drop --initrd to let runvm make it"}},
        {{}, {"--toplevel", "/no/system"}, {"open toplevel '/no/system'", "with --toplevel"}},
        {{}, {"--toplevel", "/nix/store/none"}, {"open toplevel", "and its store with --store"}},
        {{}, {"--store", "/no/store"}, {"/no/store"}},
        {{}, {"--stage1", "/no/stage1"}, {"the initrd needs the stage1 program; build it, or name it with --stage1"}},
        {{}, {"--modules", "/etc"}, {"find modules '/etc'", "run depmod, or see --modules"}},
        {{}, {"--extra-modules", "no_such_module"}, {"find module 'no_such_module'", "or drop it from"}},
        {{}, {"--disk-image", "/no/directory/disk.qcow2"}, {"/no/directory"}},
        {{}, {"--drives", "/no/image"}, {"/no/image", "name another file"}},
        {{}, {"--drives", text}, {text, "name another file"}},
        {{}, {"--shared-directories", "src=/no/source:/mnt/src"}, {"the source of src is not a directory; name an existing one"}},
        {{}, {"--use-boot-loader"}, {"the system has no bin/switch-to-configuration"}},
        {{}, {"--qemu", "/no/qemu"}, {"/no/qemu"}},
        {{}, {"--config", "/no/config.json"}, {"read description '/no/config.json': No such file"}},
        {{}, {"--config", text}, {text}},
        {{}, {"--config", "/"}, {"neither a file nor a pipe; name a file"}},
    };
}

std::vector<Refusal> refused_values() {
    return {
        {{}, {"--memory", "16T"}, {"memory"}},
        {{}, {"--memory", "0"}, {"memory"}},
        {{}, {"--cores", "many"}, {"cores"}},
        {{}, {"--union", "sideways"}, {"sideways"}},
        {{}, {"--forward-ports", "22"}, {"--forward-ports: must be "}},
        {{}, {"--forward-ports", "[::1]:8080:80"}, {"forward port '::1': this is an IPv6 address", "use 127.0.0.1 for ::1"}},
        {{}, {"--resolution", "wide"}, {"resolution"}},
        {{}, {"--disk-interface", "floppy"}, {"virtio"}},
        {{}, {"--memroy-size", "512"}, {"--memroy-size", "did you mean --memory-size?"}},
        {{}, {"--name", "a/b"}, {"use name 'a/b'"}},
    };
}

TEST_CASE("what is wrong with a description, a file or a parameter is said without a boot") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string text = machine.xchg() + ".text";
    std::ofstream(text) << "words\n";
    for (const auto &table : {refused_parameters(), refused_files(text), refused_values()})
        for (const auto &row : table) {
            const Boot b = machine.boot({.parameters = row.parameters, .arguments = row.arguments});
            check_words(b, 124, row.words);
            CHECK_FALSE(fs::exists(machine.disk()));
        }
}

TEST_CASE("a stage 2 that ends, one that is not there, and a share that nobody offers") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string init = machine.xchg() + "/init";
    std::ofstream(init) << std::format("#!{}/sh\nexit 3\n", "/no");
    check_words(
        machine.boot({.arguments = {"--init=/tmp/xchg/none"}, .disk = false}), 120,
        {"stage 1 failed in its phase 'system'", "find init '/tmp/xchg/none': No such file or directory", "look: runvm logs "});
    check_words(machine.boot({.arguments = {"--init=/tmp/xchg/init"}, .disk = false}), 120,
                {"find init '/tmp/xchg/init': Permission denied", "the file is not executable"});
    fs::permissions(init, fs::perms::owner_all);
    check_words(machine.boot({.arguments = {"--init=/tmp/xchg/init"}, .disk = false}), 120,
                {"exec '/tmp/xchg/init': No such file or directory", "its interpreter"});
    check_words(machine.boot({.parameters = {"stage1.share=nowhere:/mnt/nowhere"}, .disk = false}), 120,
                {"stage 1 failed in its phase 'mounts'", "tag 'nowhere' not offered by the host; tags present: shared, "});
}

TEST_CASE("an initrd that lacks the driver of the machine's disk is told with the driver's name") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string initrd = machine.xchg() + ".initrd";
    boot_test::must_run({"/usr/bin/env", "MODULES=virtio_pci ext4 crc32c_generic virtio_console 9p 9pnet_virtio overlay",
                         "tests/support/shell-initrd", initrd, (boot_test::build_directory() / "stage1").string()});
    check_words(machine.boot({.parameters = {"stage1.device-timeout=1"}, .arguments = {"--initrd", initrd}}), 120,
                {"stage 1 failed in its phase 'devices'", "wait for 'serial=root': No such device", "block devices: none; ",
                 "nothing drives: 'virtio_blk' is neither in this kernel nor in the initrd"});
}

TEST_CASE("a panic is told last, with its reason and what to do, whatever the kernel says after it") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string damaged = machine.xchg() + ".initrd";
    std::ofstream(damaged) << std::string(4096, 'x');
    check_words(machine.boot({.arguments = {"--initrd", damaged}, .disk = false}), 121,
                {"the guest's kernel panicked", "could not unpack the initrd ", "name another with --initrd, or drop"});
    check_words(machine.boot({.script = "echo c >/proc/sysrq-trigger; sleep 100", .disk = false}), 121,
                {"the guest's kernel panicked", "why: sysrq triggered crash", "exit status 121"});
    check_words(machine.boot({.arguments = {"--memory", "75"}, .disk = false}), 121,
                {"the machine has 75 MiB of memory", "give it more with --memory"});
}

// An ext4 in the single partition of an MBR.
void make_partitioned_disk(const std::string &path) {
    const std::string raw = path + ".raw";
    constexpr uint32_t sectors = 180000, first = 2048;
    std::string table(512, '\0');
    for (size_t i = 0; i < 4; ++i) {
        table[446 + 8 + i] = static_cast<char>(first >> (8 * i));
        table[446 + 12 + i] = static_cast<char>(sectors >> (8 * i));
    }
    table[446 + 4] = '\x83';
    table.replace(510, 2, "\x55\xaa");
    std::ofstream(raw) << table;
    fs::resize_file(raw, (first + sectors) * uintmax_t{512});
    boot_test::must_run({"/sbin/mke2fs", "-q", "-t", "ext4", "-L", "mine", "-E", "offset=1048576", raw, "80000k"});
    boot_test::must_run({"qemu-img", "convert", "-q", "-O", "qcow2", raw, path});
}

TEST_CASE("a root disk with partitions is told with their names and what is on them, one that is read-only with rw") {
    Machine machine;
    (void)boot_test::fixture();
    make_partitioned_disk(machine.disk());
    check_words(
        machine.boot({}), 120,
        {"use disk '/dev/vda': it holds a dos partition table; name one of its partitions with root=: vda1 (87.9 MiB, ext4 "
         "UUID=",
         " LABEL=mine); or if you need nothing on it, start with a new disk (runvm --fresh)"});
    Machine fresh;
    check_words(fresh.boot({.parameters = {"ro"}}), 120,
                {"mkdir '/mnt-root/tmp': Read-only file system; the kernel parameter 'rw' mounts the root writable"});
}

// An ext4 with our label whose group descriptors, in the second block, don't match their checksums.
void make_damaged_disk(const std::string &path) {
    const std::string raw = path + ".raw";
    boot_test::must_run({"/sbin/mke2fs", "-q", "-t", "ext4", "-b", "4096", "-L", "nixos", raw, "80000k"});
    std::fstream(raw, std::ios::in | std::ios::out).seekp(4096).write(std::string(4096, 'x').data(), 4096);
    boot_test::must_run({"qemu-img", "convert", "-q", "-O", "qcow2", raw, path});
}

TEST_CASE("an ext4 whose descriptors are damaged is told as that, and with the commands that check its image") {
    Machine machine;
    (void)boot_test::fixture();
    make_damaged_disk(machine.disk());
    check_words(
        machine.boot({}), 120,
        {"mount '/mnt-root': The file system's structure is damaged (EUCLEAN); '/dev/vda' is not whole as ext4",
         std::format(
             "do: check it: qemu-img convert -O raw {0} {0}.raw && e2fsck -f {0}.raw; then qemu-img convert -O qcow2 {0}.raw {0}",
             machine.disk())});
}

// A file system of the host with limited space; needs root.
class SmallFileSystem {
  public:
    SmallFileSystem(const std::string &directory, const std::string &size) : directory_(directory) {
        fs::create_directory(directory);
        if (::mount("tmpfs", directory.c_str(), "tmpfs", 0, ("size=" + size).c_str()) < 0) SKIP("a small file system needs root");
    }
    SmallFileSystem(const SmallFileSystem &) = delete;
    SmallFileSystem &operator=(const SmallFileSystem &) = delete;
    ~SmallFileSystem() { (void)::umount2(directory_.c_str(), MNT_DETACH); }

  private:
    std::string directory_;
};

TEST_CASE("a host's disk that is full is told as the reason for what then failed in the guest, and with which disk it was") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string small = machine.xchg() + ".small";
    const SmallFileSystem full(small, "16M");
    const Boot b = machine.boot({.script = "yes some text | head -c 24M >/big && sync -f /big || exit 9",
                                 .arguments = {"--disk-image", small + "/disk.qcow2"}});
    CHECK_THAT(b.console, ContainsSubstring("no room on the host for the guest's disk 'root': free some"));
    check_words(b, 9, {"the guest failed with status 9", "do: the host had no space for the guest's disk 'root'; free some"});
}

TEST_CASE("a guest that runs out of memory, and an initrd that was cut short") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string fill = "mkdir /fill; mount -t tmpfs -o size=100% x /fill; ";
    const std::string more = "do: the machine has 300 MiB of memory; give it more with --memory";
    // No process that the kernel may kill holds the memory, and the process that holds it is protected.
    check_words(machine.boot({.script = fill + "echo -1000 >/proc/self/oom_score_adj; cat /dev/zero >/fill/x",
                              .arguments = {"--memory", "300"},
                              .disk = false}),
                121, {"why: System is deadlocked on memory", more});
    // The kernel kills the process that holds it, and the guest continues.
    check_words(machine.boot({.script = "echo 1000 >/proc/self/oom_score_adj; exec tail /dev/zero",
                              .arguments = {"--memory", "300"},
                              .disk = false}),
                119, {"why: the guest ran out of memory, and its kernel killed processes:", more});
    const std::string cut = machine.xchg() + ".cut";
    boot_test::must_run({"/bin/sh", "-c", "head -c 3000000 /dev/urandom | gzip -1 | head -c 1000000 >\"$0\"", cut});
    check_words(machine.boot({.arguments = {"--initrd", cut}, .disk = false}), 121,
                {"the kernel could not unpack the initrd " + cut + ": ",
                 "name another with --initrd, or drop --initrd to let runvm make one"});
}

TEST_CASE("a system that ends in emergency mode is told at once, with the unit that failed") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string units = machine.xchg() + "/units";
    fs::create_directories(units + "/local-fs.target.d");
    std::ofstream(units + "/local-fs.target.d/data.conf") << "[Unit]\nRequires=data.mount\n";
    std::ofstream(units + "/data.mount") << "[Unit]\nDefaultDependencies=no\nBefore=local-fs.target\n"
                                            "[Mount]\nWhat=none\nWhere=/data\nType=nosuchfs\n";
    const boot_test::Setup setup{.system = "systemd",
                                 .arguments = {"--shared-directories", "units=" + units + ":/etc/systemd/system.control"},
                                 .disk = false};
    check_words(machine.boot(setup), 125,
                {"systemd in the guest is in emergency mode and waits for a person", "why: Failed to mount data.mount - /data.",
                 "do: fix that unit, or its line in the fstab (nofail), in the guest's configuration"});
    // The /boot of the system's own fstab. systemd writes its status lines over one another, and would wait 90 s.
    fs::remove_all(units + "/local-fs.target.d");
    const std::string device = "dev-disk-by\\x2duuid-12CE\\x2dA600.device";
    fs::create_directories(units + "/" + device + ".d");
    std::ofstream(units + "/" + device + ".d/soon.conf") << "[Unit]\nJobRunningTimeoutSec=10s\n";
    boot_test::Setup reads = setup;
    reads.arguments.insert(reads.arguments.end(), {"--fstab", "yes"});
    reads.parameters = {"systemd.show_status=yes"};
    check_words(machine.boot(reads), 125,
                {"why: Timed out waiting for device ", "/dev/disk/by-uuid/12CE-A600. Dependency failed for boot.mount - /boot.",
                 "do: pass --fstab no so that systemd ignores the system's fstab, or fix that unit"});
    // A person at the terminal keeps the guest's prompt.
    fs::create_directories(units + "/local-fs.target.d");
    std::ofstream(units + "/local-fs.target.d/data.conf") << "[Unit]\nRequires=data.mount\n";
    boot_test::Console console(machine, setup);
    console.wait_for("the guest's systemd is in emergency mode and waits for a person");
    console.type("\x01x");
    CHECK(console.finish().exit_code == 0);
}

TEST_CASE("a machine whose time was up is told with where it stood") {
    check_words(
        boot_test::boot({.parameters = {"root=serial=absent", "stage1.device-timeout=600"}, .disk = false, .timeout_s = 60}), 122,
        {"the guest was in: stage 1: devices, wait for serial=absent"});
    check_words(boot_test::boot({.script = "echo at work; sleep 1000", .disk = false, .timeout_s = 60}), 122,
                {"the time limit of 60 s (--timeout) was reached; the guest was in: stage 2",
                 "why: the console's last line: ", "--timeout"});
}

TEST_CASE("a QEMU that was killed is told with the signal") {
    const boot_test::Place place("sleep 1000");
    const pid_t launcher = place.launch({"run", "--name", "one"});
    REQUIRE(::kill(boot_test::Place::qemu_of(place.holder("one")), SIGKILL) == 0);
    CHECK(boot_test::wait_for_end(launcher) == 123);
    CHECK_THAT(last_lines(place.output()), ContainsSubstring("QEMU was killed by signal 9 (SIGKILL)") &&
                                               ContainsSubstring("dmesg | grep -i 'killed process'"));
}

}  // namespace

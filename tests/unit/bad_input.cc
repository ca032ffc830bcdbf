// Input that stage 1 can't use, and the exact message that a person at the console reads.
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/process.h"
#include "stage1/base/boot_input.h"
#include "stage1/steps/check_file_system.h"
#include "stage1/steps/run_step.h"
#include "tests/support/disk.h"

namespace {

using support::ScratchDirectory;

std::string failure(const mounts::Step &step) {
    stage1::FoundDevices none;
    const auto done = stage1::run_step(step, none);
    REQUIRE(!done);
    return message(done.error());
}

std::string refused_input(const std::string &command_line, const std::string &fstab = "") {
    const auto input =
        stage1::boot_input({.command_line = command_line, .parameters = {}, .fstab = fstab, .modules = {}}, "/mnt-root");
    REQUIRE(!input);
    return message(input.error());
}

// A tmpfs that is unmounted with this object.
class Tmpfs {
  public:
    explicit Tmpfs(const std::string &options) {
        if (::mount("tmpfs", directory_.path().c_str(), "tmpfs", 0, options.c_str()) < 0)
            SKIP("mounting a tmpfs is not allowed here: " << base::errno_text(errno));
    }
    Tmpfs(const Tmpfs &) = delete;
    Tmpfs &operator=(const Tmpfs &) = delete;
    ~Tmpfs() { (void)::umount(directory_.path().c_str()); }
    void make_read_only() const { REQUIRE(::mount("", directory_.path().c_str(), "", MS_REMOUNT | MS_RDONLY, "") == 0); }
    [[nodiscard]] std::string path(const std::string &name = {}) const { return directory_.path(name); }

  private:
    ScratchDirectory directory_;
};

}  // namespace

TEST_CASE("a device that does not come is named, with what is there, and how to wait longer") {
    const std::string said = failure(mounts::WaitForDevice{"/dev/vda-that-is-not", 0});
    CHECK(
        said.starts_with("wait for '/dev/vda-that-is-not': No such device; did not appear within 0 s "
                         "(stage1.device-timeout=SECONDS); block devices: "));
}

TEST_CASE("a file system table or a parameter that cannot be used is named, with its line or what was expected") {
    CHECK(refused_input("", "/dev/vda /\n") ==
          "fstab '/etc/stage1/fstab': line 1 is not one of fstab(5): source, target, type, options");
    CHECK(refused_input("", "store /nix/store 9p ro 0 0\n") == "fstab '/etc/stage1/fstab': no file system for '/'");
    CHECK(refused_input("stage1.union=maybe") == "kernel parameter 'stage1.union=maybe': expected off | tmpfs | disk");
    CHECK(refused_input("stage1.device-timeout=soon") ==
          "kernel parameter 'stage1.device-timeout=soon': expected seconds from 0 to 3600");
    CHECK(refused_input("stage1.share=tag") ==
          "kernel parameter 'stage1.share=tag': expected TAG:TARGET[:OPTIONS] with an absolute TARGET");
    CHECK(refused_input("init=relative") == "kernel parameter 'init=relative': expected an absolute path in the target root");
    CHECK(refused_input("stage1.brake=mounts") ==
          "kernel parameter 'stage1.brake': stage1 has no parameter of this name; see stage1(8)");
    CHECK(refused_input("stage1.break=breakfast") ==
          "kernel parameter 'stage1.break=breakfast': expected a phase: modules devices mounts system register switch_root; or a "
          "step, as mount or mount:/nix/store: modules wait format fsck fstab mkdir mount union mark keep grow register init "
          "fork new-paths switch_root");
}

TEST_CASE("an init that is missing, no file or not executable is named, and so is a target root that is none") {
    const ScratchDirectory root;
    std::filesystem::create_directory(root.path("directory"));
    std::ofstream(root.path("text")) << "no program\n";
    const auto find = [&](const std::string &init) { return failure(mounts::CheckInit{root.path(), init}); };
    CHECK(find("/none/init") == std::format("find init '/none/init': No such file or directory; no such file in the target "
                                            "root {}; is the store mounted, and is init= from this closure?",
                                            root.path()));
    CHECK(find("/directory") == "find init '/directory': not a regular file");
    CHECK(find("/text") == "find init '/text': Permission denied; the file is not executable");
    CHECK(failure(mounts::CheckInit{root.path("gone"), "/init"}) ==
          std::format("find init '/init': No such file or directory; '{}' is not a target root: nothing is mounted there",
                      root.path("gone")));
    CHECK(failure(mounts::CheckInit{root.path("text"), "/init"}) ==
          std::format("find init '/init': Not a directory; '{}' is not a target root: nothing is mounted there",
                      root.path("text")));
}

TEST_CASE("etc/NIXOS that is something else is named, and left as it is") {
    const ScratchDirectory root;
    const std::string mark = root.path("NIXOS");
    std::filesystem::create_directory(mark);
    CHECK(failure(mounts::MarkFile{mark}) ==
          std::format("mark '{}': Is a directory; it must be a regular file; move what is there away", mark));
    CHECK(std::filesystem::is_directory(mark));
    std::filesystem::remove(mark);
    std::filesystem::create_symlink("/etc/passwd", mark);
    CHECK(failure(mounts::MarkFile{mark}) ==
          std::format("mark '{}': File exists; it must be a regular file; move what is there away", mark));
}

TEST_CASE("a directory that cannot be made says why: read-only, full, something in its place") {
    const Tmpfs root("nr_inodes=3");
    std::ofstream(root.path("file")).flush();
    CHECK(failure(mounts::MakeDirectory{.path = root.path("file")}) ==
          std::format("mkdir '{}': Not a directory; something else is there; move it away", root.path("file")));
    CHECK(failure(mounts::MakeDirectory{.path = root.path("file/below")}) ==
          std::format("mkdir '{}': Not a directory", root.path("file/below")));
    std::filesystem::create_directory(root.path("last"));
    CHECK(failure(mounts::MakeDirectory{.path = root.path("tmp")}) ==
          std::format(
              "mkdir '{}': No space left on device; the file system is full, of data or of inodes; make room in it, or make "
              "it larger",
              root.path("tmp")));
    CHECK(
        failure(mounts::MarkFile{root.path("NIXOS")}) ==
        std::format("mark '{}': No space left on device; the file system is full, of data or of inodes; make room in it, or make "
                    "it larger",
                    root.path("NIXOS")));
    root.make_read_only();
    const std::string writable = "Read-only file system; the kernel parameter 'rw' mounts the root writable";
    CHECK(failure(mounts::MakeDirectory{.path = root.path("nix/store")}) ==
          std::format("mkdir '{}': {}", root.path("nix/store"), writable));
    CHECK(failure(mounts::MarkFile{root.path("NIXOS")}) == std::format("mark '{}': {}", root.path("NIXOS"), writable));
}

TEST_CASE("fsck of a root: clean, a journal to be recovered, errors that it corrects, errors that it leaves, no file system") {
    if (const std::string missing = support::loop_devices_missing(); !missing.empty()) SKIP(missing);
    const ScratchDirectory scratch;
    support::make_sparse_file(scratch.path("image"), uint64_t{64} << 20);
    const support::LoopDevice loop(scratch.path("image"));
    const auto run = [&](std::vector<std::string> argv) {
        argv.push_back(loop.path());
        const auto exit =
            base::run({.argv = argv, .environment = {{"PATH=/usr/sbin:/sbin:/usr/bin:/bin"}}, .capture_output = true});
        REQUIRE(exit);
        INFO(exit->output);
        REQUIRE(exit->status == 0);
    };
    run({"/usr/sbin/mke2fs", "-q", "-t", "ext4"});
    const auto check = [&] { return stage1::check_file_system(loop.path(), "ext4"); };
    const std::string of_device = std::format("fsck.ext4 {} ", loop.path());

    REQUIRE(check());
    CHECK(check()->ends_with(of_device + "(clean)"));
    run({"/usr/sbin/debugfs", "-w", "-R", "feature needs_recovery"});
    const auto recovered = check();
    REQUIRE(recovered);
    CHECK(recovered->ends_with(of_device + "(clean)"));
    run({"/usr/sbin/debugfs", "-w", "-R", "set_super_value free_blocks_count 1"});
    run({"/usr/sbin/debugfs", "-w", "-R", "set_super_value state 2"});
    const auto corrected = check();
    REQUIRE(corrected);
    CHECK(corrected->ends_with(of_device + "(exit 1)"));
    run({"/usr/sbin/debugfs", "-w", "-R", "clri <2>"});  // the root directory
    run({"/usr/sbin/debugfs", "-w", "-R", "set_super_value state 2"});
    const auto left = check();
    REQUIRE(!left);
    CHECK(message(left.error()).starts_with(std::format("fsck '{}': errors are left; run '", loop.path())));
    CHECK(message(left.error()).contains("RUN fsck MANUALLY"));
    support::write_bytes(loop.path(), 0, std::string(size_t{64} << 20, '\0'));
    const auto failed = check();
    REQUIRE(!failed);
    CHECK(message(failed.error()).contains("fsck.ext4 failed with 8; it said: "));
}

#include "tests/boot/machine.h"

#include <sys/resource.h>

#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>
#include <iostream>

#include "mounts/base/at.h"
#include "mounts/base/process.h"

namespace boot_test {

namespace {

namespace fs = std::filesystem;

fs::path logs_of_this_test;

class KeepLogsOfFailures : public Catch::EventListenerBase {
  public:
    using EventListenerBase::EventListenerBase;

    void testCaseStarting(const Catch::TestCaseInfo &test) override {
        logs_of_this_test = build_directory() / "tests" / "boot-logs" / test.name;
        fs::remove_all(logs_of_this_test);
    }
    void testCaseEnded(const Catch::TestCaseStats &stats) override {
        if (stats.totals.testCases.failed == 0)
            fs::remove_all(logs_of_this_test);
        else if (fs::exists(logs_of_this_test))
            std::cerr << "consoles of the failed test: " << logs_of_this_test << '\n';
    }
};
CATCH_REGISTER_LISTENER(KeepLogsOfFailures)

double cpu_seconds_of_children() {
    rusage used{};
    if (::getrusage(RUSAGE_CHILDREN, &used) != 0) return 0;
    const auto seconds = [](const timeval &t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

}  // namespace

fs::path build_directory() { return fs::read_symlink("/proc/self/exe").parent_path().parent_path(); }

std::string fixture() {
    const char *directory = std::getenv("STAGE1_FIXTURE");
    if (directory == nullptr) SKIP("no machine to boot: STAGE1_FIXTURE is not set; run `make test-boot`, which makes one");
    return directory;
}

std::string fixture_toplevel() { return first_line(fixture() + "/toplevel"); }

Machine::Machine() {
    std::string pattern = (fs::temp_directory_path() / "boot-test.XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    fs::create_directory(xchg());
}

Machine::~Machine() {
    std::error_code error;
    fs::remove_all(directory_, error);
}

std::vector<std::string> Machine::words(const Setup &setup) const {
    const std::string parts = fixture();
    std::ofstream(xchg() + "/cmd") << setup.script << '\n';
    // The 2013 script's variables for the directory that contains xchg, and for the disk.
    std::vector<std::string> argv{"/usr/bin/env", "USE_TMPDIR=1", "TMPDIR=" + directory_,
                                  "XDG_STATE_HOME=" + directory_ + "/state",
                                  "NIX_DISK_IMAGE=" + (setup.disk ? disk() : std::string())};
    argv.insert(argv.end(), {build_directory() / "runvm", "run", "--accel", "tcg", "--timeout", std::to_string(setup.timeout_s)});
    const std::string system = parts + "/" + setup.system;
    argv.insert(argv.end(), {"--store", parts + "/root/nix/store", "--toplevel", first_line(system + "/toplevel")});
    argv.insert(argv.end(), {"--union", setup.store_union, "--store-kind", setup.store_kind});
    if (setup.registration) argv.insert(argv.end(), {"--reginfo", first_line(system + "/reginfo")});
    for (const std::string &parameter : setup.parameters) argv.push_back("--append=" + parameter);
    argv.insert(argv.end(), setup.arguments.begin(), setup.arguments.end());
    return argv;
}

void Machine::keep_log(const std::vector<std::string> &words, const Boot &boot) {
    fs::create_directories(logs_of_this_test);
    std::ofstream log(logs_of_this_test / std::format("{}.log", ++boots_));
    for (const std::string &word : words) log << word << ' ';
    log << std::format("\nexit {}, {:.1f} CPU seconds\n", boot.exit_code, boot.cpu_seconds) << boot.console;
}

Boot Machine::boot(const Setup &setup) {
    const std::vector<std::string> argv = words(setup);
    const double before = cpu_seconds_of_children();
    const auto exit = base::run({.argv = argv, .capture_output = true});
    REQUIRE(exit);
    Boot result{exit->status, exit->output, cpu_seconds_of_children() - before};
    keep_log(argv, result);
    return result;
}

std::pair<bool, std::string> Machine::check_disk() const {
    // e2fsck can't read qcow2. dumpe2fs shows whether an unmount emptied the journal.
    const std::string script = R"sh(PATH=$PATH:/usr/sbin:/sbin
qemu-img convert -O raw "$1" "$1.raw" && e2fsck -fn "$1.raw"; status=$?
dumpe2fs -h "$1.raw" 2>/dev/null | grep -E '^Filesystem (features|state):'
rm -f "$1.raw"; exit $status)sh";
    const auto exit = base::run({.argv = {"/bin/sh", "-c", script, "sh", disk()}, .capture_output = true});
    REQUIRE(exit);
    return {exit->status == 0, exit->output};
}

std::string first_line(const std::string &path) {
    const auto text = base::read_file(path);
    REQUIRE(text);
    return text->substr(0, text->find('\n'));
}

std::string must_run(const std::vector<std::string> &argv) {
    const auto exit = base::run({.argv = argv, .capture_output = true});
    REQUIRE(exit);
    INFO(exit->output);
    REQUIRE(exit->status == 0);
    return exit->output;
}

void copy_fixture(const std::string &directory) {
    must_run({"sh", "-euc", R"sh(mkdir -p "$1/nix/var/nix/db"
cp -a "$0/store" "$1/nix/"
cd "$0/var/nix/db"; cp -a db.sqlite schema reserved "$1/nix/var/nix/db/")sh",
              fixture() + "/root/nix", directory});
}

Boot boot(const Setup &setup) { return Machine().boot(setup); }

}  // namespace boot_test

#include "tests/boot/place.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>
#include <sstream>
#include <thread>

#include "hostside/host/guest_files.h"
#include "mounts/base/at.h"
#include "tests/boot/machine.h"

namespace boot_test {

namespace fs = std::filesystem;

Place::Place(const std::string &script) {
    std::string pattern = (fs::temp_directory_path() / "place-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    fs::create_directory(directory_ + "/run");
    fs::permissions(directory_ + "/run", fs::perms::owner_all);
    fs::create_directory(shared());
    std::ofstream(shared() + "/cmd") << script << '\n';
}

Place::~Place() {
    std::istringstream lines(runvm({"list", "--names"}).output);
    for (std::string line; std::getline(lines, line);)
        (void)runvm({"stop", "--now", line});  // a remaining machine makes other tests fail
    (void)hostside::remove_guest_directory(directory_);
}

std::vector<std::string> Place::words(std::vector<std::string> arguments) const {
    std::vector<std::string> all = before;
    all.insert(all.end(), {"/usr/bin/env", "-u", "TMPDIR", "XDG_RUNTIME_DIR=" + directory_ + "/run",
                           "XDG_STATE_HOME=" + directory_ + "/state", "NIX_DISK_IMAGE=" + disk(), "SHARED_DIR=" + shared(),
                           build_directory() / "runvm"});
    const std::string verb = arguments.front();
    all.push_back(verb);
    if (verb == "run" || verb == "start")  // with the store's kind auto it would depend on the tests that ran before
        all.insert(all.end(), {"--accel", "tcg", "--store-kind", "9p", "--store", fixture() + "/root/nix/store", "--toplevel",
                               fixture_toplevel()});
    all.insert(all.end(), arguments.begin() + 1, arguments.end());
    return all;
}

base::Exit Place::runvm(std::vector<std::string> arguments) const {
    auto exit = base::run({.argv = words(std::move(arguments)), .capture_output = true});
    REQUIRE(exit);
    return *exit;
}

pid_t Place::launch(std::vector<std::string> arguments) const {
    // Into a file, because a full pipe would block the machine.
    std::vector<std::string> argv{"/bin/sh", "-c", "exec \"$@\" >\"$0\" 2>&1", directory_ + "/output"};
    for (auto &word : words(std::move(arguments))) argv.push_back(std::move(word));
    auto child = base::start({.argv = argv, .dies_with_parent = true});
    REQUIRE(child);
    return child->pid;
}

std::string Place::output() const { return base::read_file(directory_ + "/output").value_or(""); }

std::string Place::wait_for(const std::string &name) const {
    const std::string path = shared() + "/" + name;
    INFO("waiting for the guest's file " << name);
    REQUIRE(within(120, [&] { return fs::exists(path); }));
    return base::read_file(path).value_or("");
}

pid_t Place::holder(const std::string &name) const {
    pid_t pid = 0;
    const bool listed = within(20, [&] {
        constexpr std::string_view key = "\"pid\":";
        const std::string told = runvm({"status", "--json", name}).output;
        if (const size_t at = told.find(key); at != std::string::npos) pid = std::stoi(told.substr(at + key.size()));
        return pid != 0 && qemu_of(pid) != 0 && runvm({"status", name}).status == 0;
    });
    REQUIRE(listed);
    return pid;
}

pid_t Place::qemu_of(pid_t launcher) {
    std::istringstream children(
        base::read_file(std::format("/proc/{0}/task/{0}/children", launcher), 4096).value_or(std::string{}));
    pid_t pid = 0;
    while (children >> pid)
        if (base::read_file(std::format("/proc/{}/comm", pid), 64).value_or("").starts_with("qemu-system")) return pid;
    return 0;
}

bool alive(pid_t pid) {
    // A zombie counts as dead.
    const std::string stat = base::read_file(std::format("/proc/{}/stat", pid), 4096).value_or("");
    const size_t name_end = stat.rfind(") ");
    return name_end != std::string::npos && stat[name_end + 2] != 'Z';
}

int free_port(int type) {
    const base::Fd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr *>(&address), size) == 0);
    REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr *>(&address), &size) == 0);
    return ntohs(address.sin_port);
}

void pause_ms(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

int wait_for_end(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return base::exit_code(status);
}

}  // namespace boot_test

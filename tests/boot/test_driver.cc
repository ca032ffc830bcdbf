// NixOS's own test driver starts a machine by appending QEMU arguments to the script that NixOS made (nixos/lib/test-driver,
// its StartCommand of 2024): its own sockets for a monitor and a root shell, the console on its pipe.

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <future>

#include "hostside/base/unix_socket.h"
#include "tests/boot/machine.h"

namespace {

using boot_test::Boot;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;

// Makes no assertions, because the machine has its own thread.
class Driver {
  public:
    explicit Driver(const std::string &directory)
        : directory_(directory),
          monitor_(hostside::listen_unix(directory + "/monitor")),
          shell_(hostside::listen_unix(directory + "/shell")) {}

    [[nodiscard]] std::vector<std::string> arguments() const {
        return {"--",
                "-qmp",
                "unix:" + directory_ + "/qmp,server=on,wait=off",
                "-monitor",
                "unix:" + directory_ + "/monitor",
                "-chardev",
                "socket,id=shell,path=" + directory_ + "/shell",
                "-device",
                "virtio-serial",
                "-device",
                "virtconsole,chardev=shell",
                "-device",
                "virtio-rng-pci",
                "-serial",
                "stdio",
                "-no-reboot",
                "-nographic"};
    }

    // Waits for QEMU, then for this text from the shell.
    std::string connect(const std::string &greeting) {
        in_ = accepted(*shell_);
        quit_ = accepted(*monitor_);
        return read_until(greeting);
    }

    std::string ask(const std::string &command, const std::string &answer) {
        (void)!::send(in_.get(), (command + "\n").data(), command.size() + 1, MSG_NOSIGNAL);
        return answer.empty() ? "" : read_until(answer);
    }

    void crash() const { (void)!::send(quit_.get(), "quit\n", 5, MSG_NOSIGNAL); }

  private:
    static constexpr int patience_ms = 200'000;

    static base::Fd accepted(const base::Fd &socket) {
        pollfd wait{.fd = socket.get(), .events = POLLIN, .revents = 0};
        (void)::poll(&wait, 1, patience_ms);
        return base::Fd(::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }

    std::string read_until(const std::string &text) {
        std::string said;
        std::array<char, 1024> buffer{};
        while (!said.contains(text)) {
            pollfd wait{.fd = in_.get(), .events = POLLIN, .revents = 0};
            if (::poll(&wait, 1, patience_ms) != 1) return said;
            const ssize_t got = ::recv(in_.get(), buffer.data(), buffer.size(), 0);
            if (got <= 0) return said;
            said.append(buffer.data(), static_cast<size_t>(got));
        }
        return said;
    }

    std::string directory_;
    base::Result<base::Fd> monitor_, shell_;
    base::Fd in_, quit_;
};

// Acts like the backdoor of NixOS's test-instrumentation.nix.
constexpr const char *backdoor = R"sh(exec </dev/hvc0 >/dev/hvc0
stty raw -echo
echo "Spawning backdoor root shell..."
PS1= exec bash --norc /dev/hvc0)sh";

TEST_CASE("NixOS's test driver starts a machine, has a root shell in it, and shuts it down") {
    Machine machine;
    (void)boot_test::fixture();
    Driver driver(machine.xchg());
    auto ended =
        std::async(std::launch::async, [&] { return machine.boot({.script = backdoor, .arguments = driver.arguments()}); });
    const std::string greeting = driver.connect("root shell...");
    const std::string answer = driver.ask("echo got-$((40 + 2)); uname -s", "Linux");
    (void)driver.ask("exit 6", "");
    const Boot b = ended.get();
    INFO(b.console);
    CHECK_THAT(greeting, ContainsSubstring("Spawning backdoor root shell..."));
    CHECK_THAT(answer, ContainsSubstring("got-42"));
    CHECK(b.exit_code == 6);
    CHECK_THAT(b.console, ContainsSubstring("reboot: Power down"));
}

TEST_CASE("a machine that NixOS's test driver crashes by its monitor ends") {
    Machine machine;
    (void)boot_test::fixture();
    Driver driver(machine.xchg());
    auto ended =
        std::async(std::launch::async, [&] { return machine.boot({.script = backdoor, .arguments = driver.arguments()}); });
    const std::string greeting = driver.connect("root shell...");
    driver.crash();
    const Boot b = ended.get();
    INFO(b.console);
    CHECK_THAT(greeting, ContainsSubstring("Spawning backdoor root shell..."));
    CHECK(!b.console.contains("Power down"));
}

}  // namespace

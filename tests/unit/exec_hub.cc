// The hub between QEMU's port and `runvm exec`, with a guest that breaks the rules. The test provides QEMU's sockets.

#include "hostside/exec/hub.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>
#include <sstream>

#include "hostside/base/unix_socket.h"
#include "hostside/build/fetch.h"
#include "hostside/exec/client.h"
#include "hostside/exec/copy.h"
#include "mounts/base/at.h"
#include "mounts/exec/frame.h"
#include "mounts/nix/nar.h"
#include "tests/support/disk.h"

namespace {

namespace fs = std::filesystem;
using namespace mounts::exec;
using Catch::Matchers::ContainsSubstring;

base::Fd accepted(const base::Fd &listener) {
    pollfd wait{listener.get(), POLLIN, 0};
    REQUIRE(::poll(&wait, 1, 20'000) == 1);
    base::Fd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(socket);
    return socket;
}

constexpr std::string_view closed =
    "{\"event\": \"VSERPORT_CHANGE\", \"data\": {\"open\": false, \"id\": \"org.nixos.runvm.exec\"}}\r\n";

// A run directory with a hub in a separate process; the test plays QEMU and the guest.
class Machine {
  public:
    Machine() {
        std::string pattern = (fs::temp_directory_path() / "hub-test.XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        directory_ = pattern;
        const auto port = hostside::listen_unix(directory_ + "/exec-port");
        const auto monitor = hostside::listen_unix(directory_ + "/exec-events");
        REQUIRE(port);
        REQUIRE(monitor);
        hub_ = ::fork();
        if (hub_ == 0) ::_exit(hostside::run_hub(directory_) ? 0 : 1);
        events_ = accepted(*monitor);
        guest_ = accepted(*port);
    }
    ~Machine() {
        if (hub_ > 0) {
            (void)::kill(hub_, SIGKILL);
            (void)::waitpid(hub_, nullptr, 0);
        }
        fs::remove_all(directory_);
    }
    Machine(const Machine &) = delete;
    Machine &operator=(const Machine &) = delete;

    void guest_says(std::string_view bytes) const { REQUIRE(base::write_all(guest_.get(), bytes, "port")); }
    void qemu_says(std::string_view line) const { REQUIRE(base::write_all(events_.get(), line, "events")); }
    void hello(char letter) const {
        std::string bytes(resync_bytes, '\0');
        append_frame(bytes, FrameType::hello, 0, std::string(nonce_bytes, letter));
        guest_says(bytes);
    }
    // Waits for the guest's next frame of this type and returns its session.
    uint32_t guest_gets(FrameType type) {
        for (;;) {
            while (const auto frame = in_.next())
                if (frame->type == type) return frame->session;
            pollfd wait{guest_.get(), POLLIN, 0};
            REQUIRE(::poll(&wait, 1, 20'000) == 1);
            std::array<char, 65536> chunk;
            const ssize_t n = ::recv(guest_.get(), chunk.data(), chunk.size(), 0);
            REQUIRE(n > 0);
            in_.take({chunk.data(), static_cast<size_t>(n)});
        }
    }
    // Runs `runvm exec` in a separate process and returns its result as a line.
    base::Fd exec(int patience_s = 20, const hostside::ExecStreams &streams = {.signals = false}) {
        return apart([&] {
            const auto end = hostside::run_in_guest({.machine = "m",
                                                     .run_directory = directory_,
                                                     .request = {.argv = {"true"}},
                                                     .streams = streams,
                                                     .patience_s = patience_s});
            return end ? std::string(1, static_cast<char>(end->kind)) + std::to_string(end->code) + end->text
                       : base::message(end.error());
        });
    }
    // The same for a tree that is fetched from the guest.
    base::Fd fetch(const std::string &place) {
        return apart([&] {
            hostside::Allowance allowance(0);
            const auto hash = hostside::fetch_tree({.machine = "m", .run_directory = directory_, .streams = {.signals = false}},
                                                   "/nix/store/x", place, false, allowance);
            return hash ? "whole" : base::message(hash.error());
        });
    }
    base::Fd connected() const {
        auto socket = hostside::connect_unix(directory_ + "/exec");
        REQUIRE(socket);
        return std::move(*socket);
    }
    // The hub does nothing while the result lives.
    [[nodiscard]] auto stopped() const {
        struct Stopped {
            pid_t pid;
            ~Stopped() { (void)::kill(pid, SIGCONT); }
        };
        REQUIRE(::kill(hub_, SIGSTOP) == 0);
        REQUIRE(::waitpid(hub_, nullptr, WUNTRACED) == hub_);
        return Stopped{hub_};
    }
    [[nodiscard]] long hub_memory_kib() const {
        const std::string text = base::read_file(std::format("/proc/{}/status", hub_)).value_or("");
        return std::stol(text.substr(text.find("VmRSS:") + 6));
    }
    // The process of the last exec(), and how long it has computed.
    [[nodiscard]] pid_t client() const { return client_; }
    [[nodiscard]] long client_time_ms() const {
        std::istringstream fields(base::read_file(std::format("/proc/{}/stat", client_)).value_or(""));
        std::string word;
        long user = 0, system = 0;
        for (int i = 1; i < 14; ++i) fields >> word;
        fields >> user >> system;
        return (user + system) * 1000 / ::sysconf(_SC_CLK_TCK);
    }
    void end_qemu() {
        guest_.reset();
        events_.reset();
    }

  private:
    base::Fd apart(const auto &work) {
        std::array<int, 2> ends{};
        REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
        client_ = ::fork();
        if (client_ == 0) {
            ::close(guest_.get());
            ::close(events_.get());
            (void)base::write_all(ends[1], work(), "pipe");
            ::_exit(0);
        }
        ::close(ends[1]);
        return base::Fd(ends[0]);
    }

    std::string directory_;
    pid_t hub_ = -1, client_ = -1;
    base::Fd guest_, events_;
    FrameReader in_;
};

std::string said(const base::Fd &pipe) {
    pollfd wait{pipe.get(), POLLIN, 0};
    REQUIRE(::poll(&wait, 1, 20'000) == 1);
    return base::read_all(pipe.get(), "pipe", 1 << 20).value_or("");
}

TEST_CASE("a command's end comes through the hub to who asked for it, and to nobody else") {
    Machine machine;
    machine.hello('a');
    (void)machine.guest_gets(FrameType::welcome);
    const base::Fd first = machine.exec();
    const uint32_t one = machine.guest_gets(FrameType::start);
    const base::Fd second = machine.exec();
    const uint32_t two = machine.guest_gets(FrameType::start);
    CHECK(one != two);
    std::string bytes;
    append_frame(bytes, FrameType::exit, 4711, end_payload({End::exited, 1, ""}));  // an unknown session
    append_frame(bytes, FrameType::agent, one, "0");                                // only the hub may send this
    append_frame(bytes, FrameType::exit, two, end_payload({End::exited, 2, ""}));
    append_frame(bytes, FrameType::exit, one, end_payload({End::signalled, 9, ""}));
    machine.guest_says(bytes);
    CHECK(said(second) == "x2");
    CHECK(said(first) == "s9");
}

TEST_CASE("what an agent said before its end counts, and its end is not taken for the next one's") {
    Machine machine;
    machine.hello('a');
    (void)machine.guest_gets(FrameType::welcome);
    const base::Fd first = machine.exec();
    const uint32_t one = machine.guest_gets(FrameType::start);
    std::string bytes;
    append_frame(bytes, FrameType::exit, one, end_payload({End::exited, 7, ""}));
    {
        // A busy host: the hub finds everything at once.
        const auto stopped = machine.stopped();
        machine.guest_says(bytes);
        machine.qemu_says(closed);
        machine.hello('b');
    }
    CHECK(said(first) == "x7");
    const base::Fd second = machine.exec();
    (void)machine.guest_gets(FrameType::start);
    machine.qemu_says(closed);
    CHECK_THAT(said(second), ContainsSubstring("the agent in the guest ended"));
}

TEST_CASE("a guest that sends without end is cut off, and what it says is printable") {
    Machine machine;
    machine.hello('a');
    (void)machine.guest_gets(FrameType::welcome);
    const base::Fd slow = machine.connected();  // sends a request and reads nothing
    std::string bytes;
    append_frame(bytes, FrameType::start, 0);
    REQUIRE(base::write_all(slow.get(), bytes, "hub"));
    const uint32_t flooded = machine.guest_gets(FrameType::start);
    const base::Fd exec = machine.exec();
    const uint32_t other = machine.guest_gets(FrameType::start);
    bytes.clear();
    for (size_t sent = 0; sent < 8 * window_bytes; sent += payload_limit_bytes)
        append_frame(bytes, FrameType::output, flooded, std::string(payload_limit_bytes, 'x'));
    append_frame(bytes, FrameType::exit, other, end_payload({End::failed, 127, "no\x1b[2Jthing"}));
    machine.guest_says(bytes);
    CHECK(machine.guest_gets(FrameType::close) == flooded);
    CHECK(said(exec) == "f127no?[2Jthing");
}

TEST_CASE("a guest that greets without end and reads nothing costs the hub no memory, and is served when it reads again") {
    Machine machine;
    machine.hello('a');
    (void)machine.guest_gets(FrameType::welcome);
    const base::Fd idle = machine.connected();  // takes nothing
    std::string bytes;
    for (int i = 0; i < 10'000; ++i) append_frame(bytes, FrameType::hello, 0, std::string(nonce_bytes, 'a'));
    for (int i = 0; i < 100; ++i) machine.guest_says(bytes);  // 24 MB, with 32 GB of answers
    CHECK(machine.hub_memory_kib() < 64 << 10);
    const base::Fd exec = machine.exec();
    const uint32_t session = machine.guest_gets(FrameType::start);
    bytes.clear();
    append_frame(bytes, FrameType::exit, session, end_payload({End::exited, 3, ""}));
    machine.guest_says(bytes);
    CHECK(said(exec) == "x3");
}

TEST_CASE("a guest that sends more than it may is cut off by a client whose own output is stuck") {
    Machine machine;
    machine.hello('a');
    (void)machine.guest_gets(FrameType::welcome);
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const base::Fd nobody_reads(ends[0]), stuck(ends[1]);
    REQUIRE(::write(stuck.get(), std::string(40'000, 'x').data(), 40'000) == 40'000);  // there is room, but for less than waits
    const base::Fd exec = machine.exec(20, {.output = stuck.get(), .signals = false});
    const uint32_t session = machine.guest_gets(FrameType::start);
    std::string bytes;
    for (size_t sent = 0; sent < 4 * window_bytes; sent += payload_limit_bytes)
        append_frame(bytes, FrameType::output, session, std::string(payload_limit_bytes, 'x'));
    machine.guest_says(bytes);
    CHECK_THAT(said(exec), ContainsSubstring("the guest sent more than it may"));
    CHECK(machine.guest_gets(FrameType::close) == session);
}

TEST_CASE("who wants no more of a guest's output does not wait for the guest to agree") {
    Machine machine;
    machine.hello('a');
    (void)machine.guest_gets(FrameType::welcome);
    const base::Fd exec = machine.exec(20, {.take_output = [](std::string_view) { return false; }, .signals = false});
    const uint32_t session = machine.guest_gets(FrameType::start);
    std::string bytes;
    append_frame(bytes, FrameType::output, session, "too much");
    machine.guest_says(bytes);
    CHECK_THAT(said(exec), ContainsSubstring("its output was refused"));
}

TEST_CASE("a command's last output waits for its reader without work, and a signal ends the wait") {
    Machine machine;
    machine.hello('a');
    (void)machine.guest_gets(FrameType::welcome);
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const base::Fd reader(ends[0]), writer(ends[1]);
    const base::Fd exec = machine.exec(20, {.output = writer.get()});
    const uint32_t session = machine.guest_gets(FrameType::start);
    std::string bytes;
    for (size_t sent = 0; sent < window_bytes / 2; sent += payload_limit_bytes)
        append_frame(bytes, FrameType::output, session, std::string(payload_limit_bytes, 'x'));
    append_frame(bytes, FrameType::exit, session, end_payload({End::exited, 0, ""}));
    machine.guest_says(bytes);
    const auto used_ms = [&] { return machine.client_time_ms(); };
    (void)::usleep(300'000);  // until it has all
    const long before = used_ms();
    (void)::usleep(1'000'000);
    CHECK(used_ms() - before < 500);
    REQUIRE(::kill(machine.client(), SIGTERM) == 0);
    CHECK(said(exec) == "s15");
}

TEST_CASE("an agent that ended, was started anew or never came is told as that") {
    Machine machine;
    CHECK_THAT(said(machine.exec(1)), ContainsSubstring("no agent answered in the guest within 1 s"));
    machine.hello('a');
    const base::Fd first = machine.exec();
    (void)machine.guest_gets(FrameType::start);
    machine.qemu_says(closed);
    CHECK_THAT(said(first), ContainsSubstring("the agent in the guest ended"));
    machine.hello('b');
    const base::Fd second = machine.exec();
    (void)machine.guest_gets(FrameType::start);
    machine.hello('b');  // repeats the hello, because it missed the answer
    machine.hello('c');
    CHECK_THAT(said(second), ContainsSubstring("was restarted"));
    const base::Fd third = machine.exec();
    (void)machine.guest_gets(FrameType::start);
    machine.end_qemu();
    CHECK_THAT(said(third), ContainsSubstring("the machine ended before the command did"));
}

TEST_CASE("a tree whose hash is not the one that the guest says, and one that ends early, is refused and does not stay") {
    const support::ScratchDirectory scratch;
    std::ofstream(scratch.path("file")) << "content";
    std::string nar;
    REQUIRE(mounts::write_nar(scratch.path("file"), [&](std::string_view bytes) { nar += bytes; }));
    const std::string right = mounts::nix32(mounts::hash_nar(scratch.path("file")).value().hash) + "\n";
    std::string wrong = right;
    wrong[0] = wrong[0] == '0' ? '1' : '0';
    const std::string place = scratch.path("to/out");
    fs::create_directory(scratch.path("to"));
    for (const auto &[sent, result] : {std::pair{nar + wrong, "but was " + wrong.substr(0, 52) + " in the guest"},
                                       {nar.substr(0, nar.size() - 16), std::string("the guest's archive ends too early")},
                                       {nar + right, std::string("whole")}}) {
        Machine machine;
        machine.hello('a');
        (void)machine.guest_gets(FrameType::welcome);
        const base::Fd fetching = machine.fetch(place);
        const uint32_t session = machine.guest_gets(FrameType::start);
        std::string bytes;
        append_frame(bytes, FrameType::output, session, sent);
        append_frame(bytes, FrameType::exit, session, end_payload({End::exited, 0, ""}));
        machine.guest_says(bytes);
        CHECK_THAT(said(fetching), ContainsSubstring(result));
        CHECK(fs::exists(place) == (result == "whole"));
        CHECK(std::distance(fs::directory_iterator(scratch.path("to")), {}) == (result == "whole" ? 1 : 0));
    }
}

TEST_CASE("runvm cp tells a machine's file from one of the host's") {
    const auto to = hostside::copy_of("./a:b", "web:/etc/");
    REQUIRE(to);
    CHECK(to->to_guest);
    CHECK(to->machine == "web");
    CHECK(to->there == "/etc/a:b");
    CHECK(to->here == "./a:b");
    const auto from = hostside::copy_of("web:c", "/tmp");
    REQUIRE(from);
    CHECK(from->here == "/tmp/c");
    CHECK(from->there == "c");
    using Pair = std::pair<const char *, const char *>;
    for (const auto &[one, other] : {Pair{"a", "b"}, Pair{"web:a", "web:b"}, Pair{":a", "b"}})
        CHECK_FALSE(hostside::copy_of(one, other));
}

}  // namespace

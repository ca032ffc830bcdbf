// What a hostile guest may send through its status port and to its console, and how the host handles it.
#include "hostside/run/status_port.h"

#include <sys/socket.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "hostside/host/guest_files.h"
#include "hostside/report/boot_report.h"
#include "hostside/run/port_report.h"
#include "mounts/base/at.h"
#include "stage1/agent/stage2_times.h"
#include "tests/support/disk.h"

namespace {

using hostside::parse_status;
using hostside::printable;
using hostside::StatusLine;
using hostside::StatusPort;

struct Guest {
    base::Fd end;
    StatusPort port{base::Fd()};
    Guest() {
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
        end = base::Fd(ends[0]);
        port = StatusPort(base::Fd(ends[1]));
    }
    std::vector<StatusLine> says(const std::string &text) {
        std::vector<StatusLine> all;
        for (size_t at = 0; at < text.size(); at += 4096) {
            const std::string part = text.substr(at, 4096);
            REQUIRE(::send(end.get(), part.data(), part.size(), 0) == static_cast<ssize_t>(part.size()));
            for (auto &line : port.receive()) all.push_back(std::move(line));
        }
        return all;
    }
    [[nodiscard]] std::string hears() const {
        std::array<char, 4096> chunk;
        const ssize_t n = ::recv(end.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
        return {chunk.data(), static_cast<size_t>(std::max<ssize_t>(n, 0))};
    }
};

}  // namespace

TEST_CASE("what systemd says of its start becomes one line, once all is started, and a step of the report") {
    const std::string shown = "UserspaceTimestampMonotonic=1500000\nFinishTimestampMonotonic=";
    CHECK(stage1::stage2_line(shown + "4000000\n") == "stage2 1500000 4000000");
    for (const std::string &wrong : {shown + "0\n", shown + "\n", shown + "9\n", shown + "x\n", std::string("\n"),
                                     std::string("FinishTimestampMonotonic=4000000\n")})
        CHECK(stage1::stage2_line(wrong).empty());
    const support::ScratchDirectory scratch;
    std::filesystem::create_directory(scratch.path("xchg"));
    const auto report_of = [&](const std::string &text) {
        std::ofstream(scratch.path("xchg/stage1-report.json")) << text;
        return hostside::guest_report(scratch.path(), scratch.path("xchg"), 65536).value_or("none");
    };
    const std::string plain = R"({"version": 1, "steps": [{"phase": "early", "step": "x", "text": "t", "start_us": 5}]})"
                              "\n";
    CHECK(report_of(plain) == plain);
    std::ofstream(scratch.path("stage2")) << "1500000 4000000";
    const auto report = hostside::boot_report(report_of(plain), "r");
    REQUIRE(report);
    REQUIRE(report->steps.size() == 2);
    CHECK((report->steps[1].phase == "stage 2" && report->steps[1].start_us == 1500000 && report->steps[1].end_us == 4000000));
    for (const std::string &other :
         {std::string("words"), std::string("]"), std::string("[]"), plain + "x", std::string("{} ] {}")})
        CHECK(report_of(other) == other);
}

TEST_CASE("the lines of the status port") {
    CHECK(parse_status("ready").kind == StatusLine::ready);
    CHECK(parse_status("exit 7").code == 7);
    CHECK(parse_status("stage1-failed mount: no").text == "mount: no");
    CHECK(parse_status("waits 20 LABEL=\x1b").text == "LABEL=?");
    CHECK(parse_status("waits 20 LABEL=x").code == 20);
    CHECK(parse_status("stage2 1200 5600").text == "1200 5600");
    for (const char *wrong : {"stage2 ", "stage2 5", "stage2 5 ", "stage2 5 4", "stage2 0 4", "stage2 1 2 3", "stage2 -1 2",
                              "stage2 1 99999999999999999"})
        CHECK(parse_status(wrong).kind == StatusLine::unknown);
    CHECK(parse_status("step check \x1b"
                       "disk")
              .text == "check ?disk");
    CHECK(parse_status("step " + std::string(4000, 'x')).text.size() == 100);
    for (const char *line : {"waits", "waits ", "waits 20", "waits -1 x", "waits x x", "waits 99999999999 x"})
        CHECK(parse_status(line).kind == StatusLine::unknown);
    for (const char *line : {"", "exit", "exit -1", "exit 7 ", "exit 99999999999", "ready\r", "READY", "stage2"})
        CHECK(parse_status(line).kind == StatusLine::unknown);
}

TEST_CASE("what a guest says is printable, whatever it sends") {
    CHECK(printable("mount 'Büro 日本': no") == "mount 'Büro 日本': no");
    CHECK(printable("\x1b[2J\x07\r\x7f") == "?[2J???");
    CHECK(printable("\x9b"
                    "31m") == "?31m");  // C1 as a single byte
    CHECK(printable("\xc2\x9b"
                    "31m") == "?31m");  // C1 in UTF-8
    CHECK(printable("\xe2\x80\xae"
                    "txt.exe") == "?txt.exe");                      // right-to-left override
    CHECK(printable("\xc0\xaf\xed\xa0\x80\xf5\x80") == "???????");  // overlong, a surrogate, beyond Unicode
    CHECK(printable("\xe2\x82") == "??");                           // truncated
    CHECK(printable(std::string_view("a\0b", 3)) == "a?b");
}

TEST_CASE("each line that the protocol knows is acknowledged, another is not") {
    Guest guest;
    const auto lines = guest.says("ready\nexit 3\n");
    REQUIRE(lines.size() == 2);
    CHECK(lines[1].code == 3);
    CHECK(guest.hears() == "ack\nack\n");
    CHECK(guest.says("garbage\n\n\x1b[2J\n").empty());
    CHECK(guest.hears().empty());
}

TEST_CASE("that a disk is fresh is confirmed once, because the guest may have rebooted since") {
    Guest guest;
    CHECK(guest.says("fresh-disk\n").empty());
    CHECK(guest.hears() == "fresh\n");
    CHECK(guest.says("fresh-disk\nfresh-disk\n").empty());
    CHECK(guest.hears() == "no\nno\n");
}

TEST_CASE("a line without an end is dropped whole, and the next one counts") {
    Guest guest;
    CHECK(guest.says(std::string(1 << 20, 'x') + "exit 5").empty());
    const auto lines = guest.says("exit 6\nexit 7\n");
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].code == 7);
}

TEST_CASE("a guest that repeats itself, and reads no answer, is heard once") {
    Guest guest;
    std::string flood;
    for (int i = 0; i < 100000; ++i) flood += "ready\n";
    CHECK(guest.says(flood).size() == 1);
    CHECK(guest.says("exit 1\n").size() == 1);
}

TEST_CASE("a guest that closes its port is listened to no more") {
    Guest guest;
    guest.end.reset();
    CHECK(guest.port.receive().empty());
    CHECK(guest.port.fd() == -1);
}

TEST_CASE("a phase is told once and unanswered, whatever the guest makes of it") {
    Guest guest;
    const auto told = guest.says("phase devices\nphase devices\nphase switch_root\nphase \x1b[2J\nphase \nphase UPPER\n");
    REQUIRE(told.size() == 2);
    CHECK(told[0].kind == StatusLine::phase);
    CHECK(told[0].text == "devices");
    CHECK(told[1].text == "switch_root");
    CHECK(guest.hears().empty());
    std::string many;
    for (int i = 0; i < 1000; ++i) many += "phase p" + std::to_string(i) + "\n";
    CHECK(guest.says(many).size() == 14);
    many.clear();
    for (int i = 0; i < 1000; ++i) many += i % 2 == 0 ? "waits 1 x\n" : "step x\n";
    CHECK(guest.says(many).size() == 128);
    CHECK(guest.hears().empty());
}

TEST_CASE("a report comes record by record, bounded in size and number, and is a whole one after each") {
    const support::ScratchDirectory scratch;
    const std::string file = scratch.path("stage1-report.json");
    hostside::PortReport report(scratch.path());
    const auto text = [&] { return base::read_file(file).value_or("none"); };
    const auto record = [](const std::string &words) {
        return R"({"phase": "p", "step": "s", "text": ")" + words + R"(", "start_us": 1, "end_us": 2})";
    };
    report.take(record("early"));
    CHECK(text() == "none");  // a report that never began
    for (const auto &line :
         Guest().says("report\nreport " + record("a") + "\nreport " + record("b") + "\nreport x\nreporter {}\n"))
        report.take(line.text);
    CHECK(text() == "{\"version\": 1, \"steps\": [\n " + record("a") + ",\n " + record("b") + "\n]}\n");
    CHECK(hostside::boot_report(text(), "it").value().steps.size() == 2);
    report.take("");
    report.take(record("c"));
    CHECK(hostside::boot_report(text(), "it").value().steps.size() == 1);
    // A guest that sends endlessly.
    for (int i = 0; i < 5000; ++i) report.take(record(std::string(i < 300 ? 4000 : 1, 'x')));
    CHECK(text().size() <= 1 << 20);
    CHECK(hostside::boot_report(text(), "it"));
    for (int i = 0; i < 5000; ++i) report.take("");
    report.take("{}");
    CHECK(text().size() < 100);
}

TEST_CASE("the report of xchg is taken, and the port's where that one is older or there is none") {
    namespace fs = std::filesystem;
    const support::ScratchDirectory scratch;
    fs::create_directory(scratch.path("xchg"));
    const std::string port = scratch.path("stage1-report.json"), xchg = scratch.path("xchg/stage1-report.json");
    const auto report = [&] { return hostside::guest_report(scratch.path(), scratch.path("xchg"), 100); };
    CHECK(report().error().code == ENOENT);
    std::ofstream(port) << "port";
    CHECK(report().value() == "port");
    std::ofstream(xchg) << "xchg";
    fs::last_write_time(port, fs::last_write_time(xchg) - std::chrono::seconds(1));
    CHECK(report().value() == "xchg");
    fs::last_write_time(port, fs::last_write_time(xchg) + std::chrono::seconds(1));
    CHECK(report().value() == "port");
}

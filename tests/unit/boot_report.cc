// The output of `runvm report` for reports that may be forged.
#include "hostside/report/boot_report.h"

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "hostside/report/report_picture.h"
#include "hostside/report/report_text.h"
#include "mounts/base/process.h"
#include "tests/support/disk.h"

namespace {

using Catch::Matchers::ContainsSubstring;
using hostside::boot_report;

// A report of a boot with a failed mount.
constexpr std::string_view failed = R"x({"version": 1, "steps": [
 {"phase": "early", "step": "mount", "text": "the kernel's own", "start_us": 1000000, "end_us": 1100000},
 {"phase": "devices", "step": "wait", "text": "vda (8 GiB, serial root)", "start_us": 1100000, "end_us": 1500000},
 {"phase": "mounts", "step": "mount", "text": "mount /", "start_us": 1500000, "end_us": 1900000},
 {"phase": "mounts", "step": "mount", "text": "mount /nix/store", "start_us": 1900000, "end_us": 2000000, "error": "mount: no"}
]})x";

std::string with_times(int64_t devices_us) {
    return std::format(R"({{"version": 1, "steps": [
 {{"phase": "devices", "step": "wait", "text": "vda", "start_us": 1000000, "end_us": {0}}},
 {{"phase": "switch_root", "step": "switch_root", "text": "go", "start_us": {0}}}]}})",
                       1000000 + devices_us);
}

}  // namespace

TEST_CASE(
    "what systemd told of stage 2 stands after stage 1: its activation, then systemd; a comparison counts it where both tell") {
    std::string text = with_times(500000);
    text.insert(text.rfind("}]"),
                R"(}, {"phase": "stage 2", "step": "systemd", "text": "systemd", "start_us": 1700000, "end_us": 4700000)");
    const auto report = boot_report(text, "web");
    REQUIRE(report);
    CHECK_FALSE(report->stuck());
    const std::string shown = hostside::as_text(*report, "web", 64);
    CHECK_THAT(shown, ContainsSubstring("web: stage 1 took 500.0 ms, the kernel 1.000 s before it, stage 2 3.200 s after it\n") &&
                          ContainsSubstring("\nswitch_root ") && ContainsSubstring("  0.0 ms\nstage 2 ") &&
                          ContainsSubstring("    3.000 s  stage 2      systemd\n") &&
                          ContainsSubstring("   200.0 ms  stage 2      the system's activation, until systemd\n"));
    const auto again = boot_report(hostside::as_json(*report), "web");
    REQUIRE(again);
    CHECK(hostside::as_text(*again, "web", 64) == shown);
    const auto without = boot_report(with_times(500000), "web");
    REQUIRE(without);
    CHECK(hostside::slower_percent(*without, *report) == 0);
    CHECK(hostside::slower_percent(*report, *report) == 0);
}

TEST_CASE("a report is shown as phases on one time line, its slowest steps, its waits and its failure") {
    const auto report = boot_report(failed, "web");
    REQUIRE(report);
    const std::string text = hostside::as_text(*report, "web", 64);
    CHECK(text == R"(web: stage 1 took 1.000 s, the kernel 1.000 s before it
kernel       ####################                        1.000 s
early                            ##                     100.0 ms
devices                            ########             400.0 ms
mounts                                     ##########   500.0 ms

slowest steps
   400.0 ms  devices      vda (8 GiB, serial root)
   400.0 ms  mounts       mount /
   100.0 ms  early        the kernel's own
   100.0 ms  mounts       mount /nix/store

waited for
   400.0 ms  devices      vda (8 GiB, serial root)

failed after 100.0 ms, in mounts: mount /nix/store
  mount: no
)");
    const auto again = boot_report(hostside::as_json(*report), "web");
    REQUIRE(again);
    CHECK(hostside::as_text(*again, "web", 64) == text);
}

TEST_CASE("a report that ends within a step says where the boot stood; the hand-over to stage 2 is no such place") {
    const auto hung =
        boot_report(R"({"steps": [{"phase": "devices", "step": "wait", "text": "wait for x", "start_us": 5}]})", "web");
    REQUIRE(hung);
    CHECK_THAT(hostside::as_text(*hung, "web", 80), ContainsSubstring("never ended, in devices: wait for x\n"));
    CHECK(boot_report(with_times(5), "web")->stuck() == nullptr);
}

TEST_CASE("two reports compared tell what got slower, by how much") {
    const auto a = boot_report(with_times(100'000), "a"), b = boot_report(with_times(600'000), "b");
    REQUIRE((a && b));
    CHECK(hostside::comparison(*a, *b) == R"(          A           B   difference
    1.000 s     1.000 s      +0.0 ms  kernel
   100.0 ms    600.0 ms    +500.0 ms  devices
     0.0 ms      0.0 ms      +0.0 ms  switch_root
    1.100 s     1.600 s    +500.0 ms  all

steps
   100.0 ms    600.0 ms    +500.0 ms  devices: vda
)");
    CHECK(hostside::slower_percent(*a, *b) == Catch::Approx(45.45).margin(0.01));
}

TEST_CASE("a report that is none, or too much, is refused in words") {
    const auto refused = [](const std::string &text) {
        const auto report = boot_report(text, "r");
        return report ? "taken" : base::message(report.error());
    };
    for (const char *text : {"", "{", "[]", "{}", R"({"steps": 3})", "\xff"})
        CHECK(refused(text) == "read report 'r': this is not a stage 1 report, which is JSON with a list 'steps'");
    CHECK(refused(R"({"steps": [3]})") == "read report 'r': one of its steps is not an object");
    for (const char *time : {"-1", "1e300", "\"5\"", "18446744073709551615", "null"})
        CHECK(refused(std::format(R"({{"steps": [{{"start_us": {}}}]}})", time)) ==
              "read report 'r': one of its steps has no start time");
    std::string many = "{\"steps\": [{}";
    for (int i = 0; i < 4096; ++i) many += ",{}";
    CHECK(refused(many + "]}") == "read report 'r': it has more than 4096 steps");
    CHECK_THAT(refused(std::string(1 << 20, '[')), ContainsSubstring("a report is at most 16 levels deep"));
    CHECK(refused(R"({"steps": [], "steps": []})") == "read report 'r': /steps: appears twice in its object; keep one");
    CHECK(refused(std::string(size_t{17} << 20, ' ')) == "read report 'r': it is larger than 16777216 bytes");
}

TEST_CASE("what a guest put into its report is text everywhere, neither a terminal's command nor a page's element") {
    const auto report =
        boot_report(R"({"steps": [{"phase": "<b>\u001b[2J", "step": "x", "text": "</text><script>alert(1)</script>&\" onload=\"x",
        "start_us": 0, "end_us": 9, "error": "<img src=x>"}]})",
                    "<i>");
    REQUIRE(report);
    CHECK_FALSE(hostside::as_text(*report, "r", 80).contains('\x1b'));
    for (const std::string &page : {hostside::as_svg(*report, "<i>"), hostside::as_html(*report, "<i>")}) {
        for (const char *element : {"<script", "<img", "<b>", "<i>", "\x1b"}) CHECK_FALSE(page.contains(element));
        CHECK_THAT(page, ContainsSubstring("&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot; onload=&quot;x"));
    }
}

TEST_CASE("the picture is well-formed XML that fetches nothing") {
    const auto report = boot_report(failed, "web");
    REQUIRE(report);
    const support::ScratchDirectory scratch;
    std::ofstream(scratch.path("a.svg")) << hostside::as_svg(*report, "web");
    const auto parsed =
        base::run({.argv = {"python3", "-c", "import sys, xml.dom.minidom as m; m.parse(sys.argv[1])", scratch.path("a.svg")},
                   .capture_output = true});
    REQUIRE(parsed);
    CHECK(parsed->status == 0);
    const std::string page = hostside::as_html(*report, "web");
    CHECK_THAT(page, ContainsSubstring("default-src 'none'") && ContainsSubstring("#d55e00"));
    for (const char *fetched : {"src=", "href=", "url(", "@import"}) CHECK_FALSE(page.contains(fetched));
}

TEST_CASE("two reports are compared by processor time, whatever the clock says, with the step that costs more first") {
    const auto of = [](int64_t wait_ns, int64_t mount_ns) {
        return boot_report(std::format(R"({{"steps": [
 {{"phase": "devices", "step": "wait", "text": "vda", "start_us": 1, "end_us": 9000000, "cpu_ns": {}}},
 {{"phase": "mounts", "step": "mount", "text": "mount /", "start_us": 9000000, "end_us": 9000001, "cpu_ns": {}}},
 {{"phase": "switch_root", "step": "switch_root", "text": "go", "start_us": 9000001}}]}})",
                                       wait_ns, mount_ns),
                           "web");
    };
    const auto a = of(1000, 500), b = of(1000, 800);
    REQUIRE(a);
    REQUIRE(b);
    CHECK(hostside::processor_ns(*a) == 1500);
    CHECK(hostside::processor_comparison(*a, *b) == R"(           A            B   difference  nanoseconds of processor time
         500          800         +300  mounts: mount /
        1000         1000           +0  devices: vda
           0            0           +0  switch_root: go
        1500         1800         +300  all of stage 1
)");
    CHECK(hostside::processor_ns(*boot_report(hostside::as_json(*b), "web")) == 1800);
    CHECK(hostside::processor_ns(*boot_report(failed, "web")) == -1);
}

TEST_CASE("runvm report --compare --cpu is a gate, and refuses a report that has no processor time") {
    const support::ScratchDirectory scratch;
    const auto write = [&](const char *name, const std::string &cpu) {
        std::ofstream(scratch.path(name)) << std::format(
            R"({{"steps": [{{"phase": "p", "step": "s", "text": "t", "start_us": 1, "end_us": 2{}}}]}})", cpu);
        return scratch.path(name);
    };
    const std::string a = write("a.json", R"(, "cpu_ns": 1000)"), b = write("b.json", R"(, "cpu_ns": 1100)"),
                      old = write("old.json", "");
    const auto runvm = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm";
    const auto status = [&](const std::string &first, const std::string &second, const char *limit) {
        const auto exit =
            base::run({.argv = {runvm, "report", "--compare", first, second, "--cpu", "--limit", limit}, .capture_output = true});
        REQUIRE(exit);
        INFO(exit->output);
        return std::pair{exit->status, exit->output};
    };
    CHECK(status(a, b, "10").first == 0);
    CHECK(status(a, b, "9").first == 1);
    CHECK_THAT(status(a, b, "9").second,
               ContainsSubstring("b.json is slower than ") && ContainsSubstring("by 10.0 %, more than 9 %"));
    CHECK(status(b, a, "0").first == 0);
    // Of one phase alone.
    const auto two_phases = [&](const char *name, int first, int second) {
        std::ofstream(scratch.path(name)) << std::format(
            R"({{"steps": [{{"phase": "p", "step": "s", "text": "t", "start_us": 1, "end_us": 2, "cpu_ns": {}}},
                {{"phase": "q", "step": "s", "text": "u", "start_us": 2, "end_us": 3, "cpu_ns": {}}}]}})",
            first, second);
        return scratch.path(name);
    };
    const std::string c = two_phases("c.json", 1000, 1000), d = two_phases("d.json", 1000, 1001);
    const auto of_phase = [&](const std::string &phase) {
        const auto exit = base::run(
            {.argv = {runvm, "report", "--compare", c, d, "--cpu", "--limit", "0", "--phase", phase}, .capture_output = true});
        REQUIRE(exit);
        return std::pair{exit->status, exit->output};
    };
    CHECK(of_phase("p") == std::pair{0, std::string("           A            B   difference  nanoseconds of processor time\n"
                                                    "        1000         1000           +0  p: t\n"
                                                    "        1000         1000           +0  all of these phases\n")});
    CHECK(of_phase("q").first == 1);
    CHECK(of_phase("r") == std::pair{124, "runvm: compare '" + c + "': it has no phase 'r'\n"});
    CHECK(status(a, old, "0").first == 124);
    CHECK_THAT(status(a, old, "0").second, ContainsSubstring("it has no processor times, because an older stage 1 wrote it"));
}

// A fleet's results as JSON, as JUnit XML and as text for a person.
#include "hostside/fleet/results.h"

#include <sys/stat.h>

#include <catch_amalgamated.hpp>
#include <format>
#include <fstream>

#include "hostside/fleet/table.h"
#include "mounts/base/process.h"
#include "tests/support/disk.h"

namespace {

using hostside::FleetResult;
using hostside::Outcome;

FleetResult one_of_each() {
    return {.name = "checks \"<&>\"",
            .started_s = 1700000000,
            .seconds = 75.5,
            .over = true,
            .machines = {{.name = "good", .outcome = Outcome::passed, .exit_code = 0, .state = "ready", .seconds = 10},
                         {.name = "bad",
                          .outcome = Outcome::failed,
                          .exit_code = 7,
                          .cause = "the guest <failed> with \"7\" & more",
                          .state = "stage 2",
                          .seconds = 11},
                         {.name = "panic", .outcome = Outcome::failed, .exit_code = 121, .cause = "the kernel panicked"},
                         {.name = "ended", .outcome = Outcome::cancelled, .exit_code = 143, .cause = "ended by signal 15"},
                         {.name = "never", .outcome = Outcome::not_run}}};
}

// The complaints of a validation by junit.rng; empty if valid.
std::string complaints(const std::string &xml) {
    const support::ScratchDirectory scratch;
    std::ofstream(scratch.path("junit.xml")) << xml;
    const auto exit =
        base::run({.argv = {"xmllint", "--noout", "--relaxng", "tests/support/junit.rng", scratch.path("junit.xml")},
                   .capture_output = true});
    REQUIRE(exit);
    return exit->status == 0 ? "" : exit->output;
}

}  // namespace

TEST_CASE("a fleet's results are read as they were written") {
    const FleetResult result = one_of_each();
    const std::string json = hostside::results_json(result);
    const auto again = hostside::results_from(json, "results.json");
    INFO(json << (again ? "" : base::message(again.error())));
    REQUIRE(again);
    CHECK(hostside::results_json(*again) == json);
    CHECK(again->over);
    CHECK(again->machines[1].cause == result.machines[1].cause);
    CHECK(again->machines[4].exit_code == -1);
    CHECK(base::message(hostside::results_from("{}", "x.json").error()) == "x.json '/machines': not the results.json of a fleet");
    CHECK(base::message(hostside::results_from(R"({"machines":[{"name":"a"}]})", "x.json").error()) ==
          "x.json '/machines': a machine without an outcome");
}

TEST_CASE("results of as many machines as a fleet may have are read, and what is no file of results is refused in words") {
    using Catch::Matchers::ContainsSubstring;
    hostside::FleetResult many;
    for (int i = 0; i < 4096; ++i) many.machines.push_back({.name = "machine" + std::to_string(i)});
    const auto read = hostside::results_from(hostside::results_json(many), "results");
    INFO((read ? "" : base::message(read.error())));
    REQUIRE(read);
    CHECK(read->machines.size() == 4096);
    const auto refusal = [](const std::string &text) { return base::message(hostside::results_from(text, "results").error()); };
    CHECK_THAT(refusal(R"({"machines":[],"machines":[]})"), ContainsSubstring("appears twice"));
    CHECK_THAT(refusal(std::string(1'000'000, '[')), ContainsSubstring("a fleet is at most 20 levels deep"));
    std::string wide = "{";
    for (int i = 0; i < 20'000; ++i) wide += "\"" + std::to_string(i) + "\":0,";
    CHECK_THAT(refusal(wide + "\"x\":0}"), ContainsSubstring("an object here has at most 10000 keys"));
    const support::ScratchDirectory scratch;
    REQUIRE(::mkfifo(scratch.path("fifo").c_str(), 0600) == 0);
    CHECK_FALSE(hostside::results_in(scratch.path("fifo")));
}

TEST_CASE("a fleet's junit.xml keeps to its schema, whatever a guest says") {
    std::string hostile =
        "]]></system-out><evil/>\x1b[31mred\x1b[0m \x01\x02\xff\xfe & \xef\xbf\xbe\xef\xbf\xbf\xed\xa0\x80 \xe2\x80\xae\n";
    for (int c = 1; c < 256; ++c) hostile += static_cast<char>(c);
    const std::string xml = hostside::junit_xml(one_of_each(), [&](const std::string &) { return hostile; });
    INFO(xml);
    CHECK(complaints(xml).empty());
    using Catch::Matchers::ContainsSubstring;
    CHECK_THAT(xml,
               ContainsSubstring(
                   R"(<testsuites name="checks &quot;&lt;&amp;&gt;&quot;" time="75.500" tests="5" failures="1" errors="1">)"));
    CHECK_THAT(xml, ContainsSubstring(R"(skipped="2")"));
    CHECK_THAT(xml,
               ContainsSubstring(R"(<failure message="the guest &lt;failed&gt; with &quot;7&quot; &amp; more" type="exit 7">)"));
    CHECK_THAT(xml, ContainsSubstring(R"(<error message="the kernel panicked" type="exit 121">)"));
    CHECK_THAT(xml, ContainsSubstring("<skipped>not run</skipped>"));
    CHECK_THAT(xml, !ContainsSubstring("<evil"));
    CHECK_FALSE(complaints("<testsuites><testcase/></testsuites>").empty());  // the validation really uses the schema
}

TEST_CASE("a person sees what runs and what failed, as much as the terminal has lines for, and the sums") {
    FleetResult result = one_of_each();
    result.name = "checks";
    result.machines[4].outcome = Outcome::running;
    result.machines[4].state = "stage 1: mounts";
    const auto lines = hostside::table_of(result, 24, 57);
    REQUIRE(lines.size() == 4);
    CHECK(lines[0] == "never  running       0 s  stage 1: mounts");
    CHECK(lines[1] == "bad    failed       11 s  the guest <failed> with \"7\" & m");
    CHECK(lines[3] == "checks: 1 passed, 2 failed, 1 cancelled, 1 running; 75 s");
    const auto few = hostside::table_of(result, 3, 60);
    REQUIRE(few.size() == 3);
    CHECK(few[1] == "... and 2 more");
    CHECK(hostside::summary_of(result) == "1 passed, 2 failed, 1 cancelled, 1 running in 75 s; failed: bad, panic");
    CHECK(hostside::line_of(result.machines[1]) == "bad: failed, exit 7, after 11 s: the guest <failed> with \"7\" & more");
    CHECK(hostside::line_of(result.machines[0]) == "good: passed, after 10 s");
    CHECK(hostside::line_of(result.machines[4]) == "never: runs");
}

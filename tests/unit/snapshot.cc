// How a saved machine is identified, where stage 1 stops for it, and QEMU's arguments.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "hostside/description/description.h"
#include "hostside/snapshot/manifest.h"
#include "hostside/snapshot/place.h"
#include "mounts/boot/plan.h"

namespace {

namespace fs = std::filesystem;
using namespace hostside;
using Catch::Matchers::ContainsSubstring;

struct TemporaryPlace {
    std::string path = (fs::temp_directory_path() / "snapshot-XXXXXX").string();
    TemporaryPlace() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
    TemporaryPlace(const TemporaryPlace &) = delete;
    TemporaryPlace &operator=(const TemporaryPlace &) = delete;
    ~TemporaryPlace() {
        std::error_code error;
        fs::remove_all(path, error);
    }
};

Machine machine_of_json(const std::string &json) {
    auto made = machine_from({{"test", json, false}});
    REQUIRE(made);
    return *made;
}

HostFacts host_facts() {
    return {.qemu = "/q",
            .runvm = "/bin/runvm",
            .qemu_version = "10.0.2",
            .kernel = "/kernel",
            .initrd = "/initrd",
            .command_line = "quiet",
            .memory_file = "/s/memory",
            .root_image = "/s/root.qcow2",
            .xchg = "/run/a/xchg",
            .shared = "/run/a/xchg",
            .runtime = "/run",
            .run_directory = "/run/a"};
}

std::vector<std::string> planned(const std::string &snapshot, const std::string &store, const std::string &more = "",
                                 const std::string &fstab = "") {
    const auto parameters = mounts::boot_parameters(
        mounts::parse_command_line("init=/nix/store/s/init root=serial=root stage1.union=tmpfs stage1.store=" + store +
                                   (snapshot.empty() ? "" : " stage1.snapshot=" + snapshot) + more));
    REQUIRE(parameters);
    auto table = mounts::parse_fstab(mounts::default_fstab(8192) + fstab, "built-in");
    REQUIRE(table);
    auto file_systems = mounts::apply_parameters(std::move(table->file_systems), *parameters, 8192);
    REQUIRE(file_systems);
    const auto phases = mounts::plan_boot({.file_systems = *file_systems, .parameters = *parameters, .target_root = "/mnt-root"});
    REQUIRE(phases);
    std::vector<std::string> lines;
    for (const auto &phase : *phases)
        for (const auto &step : phase.steps)
            if (const auto kind = mounts::kind(step); kind == "mount")
                lines.push_back("mount " + std::get<mounts::Mount>(step).target);
            else if (kind == "new-paths")
                lines.push_back("new-paths in " + std::string(phase.name()));
            else if (kind == "fork" || kind == "switch_root")
                lines.push_back(std::string(kind) + " " + describe(step));
            else if (kind == "register" || kind == "mark" || kind == "init")
                lines.emplace_back(kind);
    return lines;
}

}  // namespace

TEST_CASE("a machine that is saved when it is ready mounts no 9p directory before, and names what a fork mounts") {
    const auto plain = planned("", "erofs");
    CHECK(std::ranges::contains(plain, "mount /mnt-root/tmp/xchg"));
    const auto ready = planned("ready", "erofs");
    CHECK_FALSE(std::ranges::contains(ready, "mount /mnt-root/tmp/xchg"));
    CHECK_FALSE(std::ranges::contains(ready, "mount /mnt-root/tmp/shared"));
    CHECK(std::ranges::contains(ready, "mount /mnt-root/nix/.ro-store"));
    CHECK_THAT(ready.back(), ContainsSubstring("later, in a fork, /tmp/xchg") || ContainsSubstring(" /tmp/xchg"));
    CHECK_THAT(ready.back(), ContainsSubstring("/tmp/shared") && !ContainsSubstring("/mnt-root/tmp"));
}

TEST_CASE("a machine that is saved before stage 2 stops before the first 9p mount") {
    const auto lines = planned("before-stage-2", "9p");
    const auto point = std::ranges::find_if(lines, [](const auto &line) { return line.starts_with("fork "); });
    REQUIRE(point != lines.end());
    REQUIRE(point != lines.begin());
    CHECK(std::find(lines.begin(), point, "mount /mnt-root") != point);
    CHECK(*std::next(point) == "mount /mnt-root/nix/.ro-store");
    // What needs no share is done once, before.
    CHECK(std::find(lines.begin(), point, "register") != point);
    CHECK(std::find(lines.begin(), point, "mark") != point);
    CHECK(std::find(point, lines.end(), "init") != lines.end());
    // What came since is registered when it can be seen.
    REQUIRE(lines.size() > 2);
    CHECK(lines[lines.size() - 2] == "new-paths in register");
    for (const char *without : {" stage1.register=off", " stage1.agent=only"})
        CHECK_FALSE(std::ranges::contains(planned("before-stage-2", "9p", without), "new-paths in register"));
    CHECK_FALSE(std::ranges::contains(planned("ready", "erofs"), "new-paths in register"));
    // A share that hides what is made before, or that has the registration, is waited for.
    const auto point_of = [](const std::vector<std::string> &all) {
        return std::ranges::find_if(all, [](const auto &line) { return line.starts_with("fork "); });
    };
    for (const char *fstab :
         {"data /etc 9p trans=virtio 0 0\n", "data /nix 9p trans=virtio 0 0\n", "data /nix/var/nix 9p trans=virtio 0 0\n"}) {
        INFO(fstab);
        const auto hidden = planned("before-stage-2", "9p", "", fstab);
        CHECK(std::find(point_of(hidden), hidden.end(), "register") != hidden.end());
        CHECK(std::find(point_of(hidden), hidden.end(), "mark") != hidden.end());
    }
    const auto named = planned("before-stage-2", "9p", " regInfo=/nix/store/c/registration");
    CHECK(std::find(point_of(named), named.end(), "register") != named.end());
    const auto beside = planned("before-stage-2", "9p", "", "data /etc/data 9p trans=virtio 0 0\n");
    CHECK(std::find(point_of(beside), beside.end(), "register") == beside.end());
    // With the store on a disk, that is later.
    const auto disk = planned("before-stage-2", "erofs");
    const auto later = std::ranges::find_if(disk, [](const auto &line) { return line.starts_with("fork "); });
    REQUIRE(later != disk.end());
    CHECK(std::find(disk.begin(), later, "mount /mnt-root/nix/.ro-store") != later);
}

TEST_CASE("each trait that a saved machine must keep is refused by its name when it differs") {
    const Machine m = machine_of_json(R"({"memorySize":512,"diskImage":"/s/root.qcow2","accelerator":"tcg"})");
    const HostFacts host = host_facts();
    const Manifest manifest{"ready", "{}", true, 1, traits_of(m, host)};
    CHECK(check_traits(manifest, m, host, "/s"));
    const auto told = [&](const Machine &machine, const HostFacts &facts) {
        const auto good = check_traits(manifest, machine, facts, "/s");
        return good ? std::string("nothing") : base::message(good.error());
    };
    HostFacts other = host;
    other.qemu_version = "7.2.22";
    CHECK_THAT(told(m, other),
               ContainsSubstring("QEMU must be the same: the snapshot has '10.0.2', but this machine has '7.2.22'"));
    other = host;
    other.kvm = true;
    CHECK_THAT(told(m, other),
               ContainsSubstring("the accelerator must be the same: the snapshot has 'tcg', but this machine has 'kvm'"));
    other = host;
    other.kernel = "/other";
    CHECK_THAT(told(m, other),
               ContainsSubstring("the kernel must be the same: the snapshot has '/kernel', but this machine has '/other'"));
    other = host;
    other.store_image = "/cache/x.erofs";
    CHECK_THAT(told(m, other), ContainsSubstring("the store must be the same"));
    const std::string base_text = R"("diskImage":"/s/root.qcow2","accelerator":"tcg")";
    const auto since = told(machine_of_json(R"({"memorySize":512,"diskImage":"/s/root.qcow2","accelerator":"tcg",
                                                "pathsInNixDB":["/nix/store/new"]})"),
                            host);
    CHECK_THAT(since,
               ContainsSubstring("what is registered (pathsInNixDB) must be the same: the snapshot has 'the system alone', "
                                 "but this machine has '/nix/store/new'; make a new one with runvm snapshot"));
    for (const auto &[json, what] : {std::pair{R"("memorySize":1024)", "memory"},
                                     {R"("memorySize":512,"cpu":"qemu64")", "the processor's model"},
                                     {R"("memorySize":512,"cores":2)", "processors"},
                                     {R"("memorySize":512,"qemu":{"machine":"q35"})", "the machine type"},
                                     {R"("memorySize":512,"rng":false)", "the devices"},
                                     {R"("memorySize":512,"vlans":[1])", "the devices"}})
        CHECK_THAT(told(machine_of_json("{" + base_text + "," + json + "}"), host),
                   ContainsSubstring(what + std::string(" must be the same")));
    // The parts that belong to a run.
    Machine run = machine_of_json(R"({"name":"other","memorySize":512,"diskImage":"/s/root.qcow2","accelerator":"tcg","timeout":5,
        "forwardPorts":[{"host":{"port":2222},"guest":{"port":22}}],"nodeNumber":4})");
    other = host;
    other.run_directory = "/run/b";
    other.xchg = "/elsewhere";
    other.shared = "/shared";
    other.root_image = "/run/b/root.qcow2";
    other.restored = true;
    CHECK(told(run, other) == "nothing");
}

TEST_CASE("a fork learns of new paths if it mounts its 9p store after it was saved; another's are a trait") {
    const auto with = [](const std::string &paths, const std::string &kind = "9p") {
        return machine_of_json(R"({"store":"/store","storeKind":")" + kind + R"(","pathsInNixDB":[)" + paths + "]}");
    };
    const Manifest before{"before-stage-2", R"({"pathsInNixDB":["/nix/store/a"]})", true, 1, {}};
    CHECK(hostside::new_paths(before, with(R"("/nix/store/a","/nix/store/b")")) == std::vector<std::string>{"/nix/store/b"});
    CHECK(hostside::new_paths(before, with(R"("/nix/store/a")")).empty());
    CHECK(hostside::new_paths(before, with(R"("/nix/store/b")", "erofs")).empty());
    CHECK(hostside::new_paths({"ready", "{}", true, 1, {}}, with(R"("/nix/store/b")")).empty());
}

TEST_CASE("a snapshot is made anew for what differs, but not for what each fork has for itself") {
    const Manifest made{"ready",
                        R"({"name":"a","nodeNumber":3,"diskImage":"/a.qcow2","timeout":9,"memorySize":512})",
                        true,
                        3,
                        {{"memory", "512 MiB"}},
                        "multi-user.target"};
    CHECK(hostside::difference(made, made).empty());
    Manifest other = made;
    other.description = R"({"name":"b","memorySize":512,"diskImage":"/b.qcow2"})";
    CHECK(hostside::difference(made, other).empty());
    other.description = R"({"name":"b","memorySize":512,"diskImage":""})";
    CHECK(hostside::difference(made, other) == "its description has changed");
    other.traits = {{"memory", "640 MiB"}};
    CHECK(hostside::difference(made, other) ==
          "memory must be the same: the snapshot has '512 MiB', but this machine has '640 MiB'");
    other.after = "a.target";
    CHECK(hostside::difference(made, other) == "it waited for something else before it was saved");
    other.disk = false;
    CHECK(hostside::difference(made, other) == "it has a disk");
    other.point = "before-stage-2";
    CHECK(hostside::difference(made, other) == "its key snapshot was ready, not before-stage-2");
}

TEST_CASE("a snapshot's manifest comes out of its text as it went in, and another text is none") {
    const Manifest manifest{"before-stage-2", R"({"name":"x\"y"})", true, 7, {{"QEMU", "1"}, {"memory", "512 MiB"}}, "a.target"};
    const auto back = parse_manifest(manifest_text(manifest), "m");
    REQUIRE(back);
    CHECK(back->point == manifest.point);
    CHECK(back->after == manifest.after);
    CHECK(back->description == manifest.description);
    CHECK(back->disk);
    CHECK(back->node_number == 7);
    CHECK(back->traits == manifest.traits);
    for (const char *text : {"", "{", "[]", "{}", R"({"version":1})", R"({"version":"1"})",
                             R"({"version":2,"point":"ready","disk":true,"nodeNumber":1,"description":"","traits":[]})",
                             R"({"version":1,"point":"ready","disk":true,"nodeNumber":1,"description":"","traits":[["a"]]})",
                             R"({"version":1,"point":3,"disk":true,"nodeNumber":1,"description":"","traits":[]})"}) {
        INFO(text);
        CHECK_FALSE(parse_manifest(text, "m"));
    }
}

TEST_CASE("a saved description names its files from wherever a fork is started") {
    const std::string made = with_absolute_paths(
        R"({"toplevel":"result","kernel":"","store":"/nix/store","debugShell":"auto","qemu":{"program":"qemu-system-x86_64"},
            "sharedDirectories":[{"tag":"a","source":"../b","target":"/b"}]})",
        "/home/me");
    CHECK_THAT(made, ContainsSubstring(R"("toplevel":"/home/me/result")") && ContainsSubstring(R"("kernel":"")") &&
                         ContainsSubstring(R"("store":"/nix/store")") && ContainsSubstring(R"("debugShell":"auto")") &&
                         ContainsSubstring(R"("program":"qemu-system-x86_64")") && ContainsSubstring(R"("source":"/home/b")"));
}

TEST_CASE("QEMU shares a saved machine's memory with its file, and a fork's only until it is written to") {
    const Machine m = machine_of_json(R"({"memorySize":512})");
    HostFacts host = host_facts();
    const auto words = [&] {
        auto argv = qemu_argv(m, host);
        REQUIRE(argv);
        std::string text;
        for (const auto &word : *argv) text += word + " ";
        return text;
    };
    CHECK_THAT(words(), ContainsSubstring("-machine pc,memory-backend=memory ") &&
                            ContainsSubstring("-device vmgenid,guid=auto ") &&
                            ContainsSubstring("memory-backend-file,id=memory,size=512M,mem-path=/s/memory,share=on ") &&
                            ContainsSubstring("-kernel /kernel "));
    host.restored = true;
    CHECK_THAT(words(), ContainsSubstring("mem-path=/s/memory,share=off,readonly=on,rom=off ") &&
                            ContainsSubstring("-incoming defer ") && !ContainsSubstring("-kernel"));
    host.qemu_major = 7;
    CHECK_THAT(words(), ContainsSubstring("mem-path=/s/memory,share=off "));
}

TEST_CASE("a snapshot's directory is there whole or not at all, for its owner alone, and not replaced while it is used") {
    const TemporaryPlace place;
    const std::string path = place.path + "/s";
    const auto fill = [](const NewSnapshot &snapshot, const std::string &content) {
        std::ofstream(snapshot.part(snapshot_memory)) << content;
        std::ofstream(snapshot.part(snapshot_manifest)) << manifest_text({"ready", "{}", false, 1, {}});
    };
    const auto around = [&] {
        std::vector<std::string> names;
        for (const auto &entry : fs::directory_iterator(place.path)) names.push_back(entry.path().filename());
        return names;
    };
    {
        auto left = NewSnapshot::begin(path, false);
        REQUIRE(left);
        fill(*left, "half");
        CHECK_FALSE(fs::exists(path));
    }
    CHECK(around().empty());
    {
        auto made = NewSnapshot::begin(path, false);
        REQUIRE(made);
        fill(*made, "one");
        REQUIRE(made->finish());
    }
    CHECK(around() == std::vector<std::string>{"s"});
    CHECK((fs::status(path).permissions() & fs::perms::mask) == fs::perms::owner_all);
    const auto again = NewSnapshot::begin(path + "/", false);
    REQUIRE_FALSE(again);
    CHECK_THAT(base::message(again.error()), ContainsSubstring("--fresh"));
    {
        const auto used = open_snapshot(path);
        REQUIRE(used);
        CHECK(open_snapshot(path));  // several readers at once
        const auto refused = NewSnapshot::begin(path, true);
        REQUIRE_FALSE(refused);
        CHECK_THAT(base::message(refused.error()), ContainsSubstring("a machine made from it is running"));
    }
    {
        auto other = NewSnapshot::begin(path, true);
        REQUIRE(other);
        fill(*other, "two");
        REQUIRE(other->finish());
    }
    CHECK(around() == std::vector<std::string>{"s"});
    std::string content;
    std::ifstream(path + "/memory") >> content;
    CHECK(content == "two");
    // The next one removes what a killed one left.
    fs::create_directory(path + ".part-abcdef");
    std::ofstream(path + ".part-abcdef/memory") << "left";
    (void)NewSnapshot::begin(path, true);
    CHECK(around() == std::vector<std::string>{"s"});
    REQUIRE(::chmod(path.c_str(), 0755) == 0);
    const auto open = open_snapshot(path);
    REQUIRE_FALSE(open);
    CHECK_THAT(base::message(open.error()), ContainsSubstring("others could read or change the guest's memory"));
    fs::create_directory(place.path + "/plain");
    const auto plain = NewSnapshot::begin(place.path + "/plain", true);
    REQUIRE_FALSE(plain);
    CHECK_THAT(base::message(plain.error()), ContainsSubstring("it is not a snapshot"));
    // Nobody shall set the mode of a directory that was named by mistake.
    CHECK_THAT(base::message(open_snapshot(place.path + "/plain").error()), ContainsSubstring("is it a snapshot?"));
}

TEST_CASE("another user's directory that is named like an unfinished snapshot keeps its files") {
    if (::geteuid() != 0) SKIP("needs root, to be two users");
    const TemporaryPlace place;
    const std::string others = place.path + "/s.part-others", ours = place.path + "/s.part-ours";
    for (const auto &directory : {others, ours}) {
        fs::create_directory(directory);
        std::ofstream(directory + "/memory") << "bytes";
    }
    REQUIRE(::chown(others.c_str(), 12345, 12345) == 0);
    REQUIRE(NewSnapshot::begin(place.path + "/s", false));
    CHECK(fs::exists(others + "/memory"));
    CHECK_FALSE(fs::exists(ours));
}

#include "stage1/rescue/prompt.h"

#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <format>
#include <optional>
#include <string_view>
#include <vector>

#include "mounts/base/at.h"
#include "mounts/base/printable.h"
#include "mounts/base/shell_words.h"
#include "mounts/boot/step.h"
#include "stage1/modules/load.h"
#include "stage1/rescue/line_editor.h"
#include "stage1/rescue/look.h"
#include "stage1/steps/run_step.h"

namespace stage1 {

namespace {

using base::fail;
using base::Result;
using Words = std::vector<std::string>;

constexpr std::string_view help_text =
    "ls [PATH]…            lists a directory\n"
    "cat FILE…             prints a file\n"
    "mount [-t TYPE] [-o OPTIONS] SOURCE TARGET\n"
    "                      mounts; alone, lists mounts. SOURCE: a path, LABEL=, UUID=, serial=, or a 9p tag\n"
    "umount [-l] TARGET    unmounts; -l: hides it now, unmounts when nobody uses it\n"
    "blkid                 lists block devices and their content\n"
    "dmesg                 prints the kernel's log, with stage 1's messages\n"
    "lsmod                 lists loaded modules\n"
    "modprobe NAME…        loads modules of the initrd\n"
    "plan                  lists the steps of this boot, the next one marked\n"
    "report                prints finished steps with times, as JSON\n"
    "step                  runs the next step and returns here\n"
    "retry                 runs the failed step again and continues\n"
    "continue              continues the boot, past a failed step\n"
    "reboot                restarts the machine\n";

volatile sig_atomic_t interrupted = 0;

// The terminal, and what is known about the boot.
class Prompt {
  public:
    Prompt(int terminal, const Scene &scene) : terminal_(terminal), scene_(scene) {}
    // Runs a command and prints its error, or returns an answer.
    std::optional<Answer> obey(const Words &words);
    bool show(std::string_view text) const { return base::write_all(terminal_, text, "console").has_value() && interrupted == 0; }

  private:
    std::optional<Answer> answer(std::string_view command) const;
    [[nodiscard]] Result<> look(const Words &words) const;

    int terminal_;
    const Scene &scene_;
};

Result<> mount(const Words &words, const Show &show) {
    if (words.size() == 1) return show_file("/proc/self/mounts", show);
    mounts::Mount step{.source = {}, .target = {}, .type = "auto", .options = {}};
    Words places;
    for (size_t i = 1; i < words.size(); ++i) {
        if ((words[i] == "-t" || words[i] == "-o") && i + 1 < words.size()) {
            (words[i] == "-t" ? step.type : step.options) = words[i + 1];
            ++i;
        } else {
            places.push_back(words[i]);
        }
    }
    if (places.size() != 2) return fail(0, "mount", "", "needs SOURCE and TARGET; see help");
    step.source = places[0];
    step.target = places[1];
    FoundDevices devices;
    return run_step(step, devices).transform([&](const std::string &said) {
        if (!said.empty()) (void)show(base::printable(said) + "\n");
    });
}

Result<> unmount(const Words &words) {
    const bool lazy = words.size() == 3 && words[1] == "-l";
    if (words.size() != 2 && !lazy) return fail(0, "umount", "", "needs one TARGET; see help");
    if (::umount2(words.back().c_str(), lazy ? MNT_DETACH : 0) < 0) return fail(errno, "umount", words.back());
    return {};
}

Result<> load_modules(const Words &words) {
    auto modules = Modules::open();
    if (!modules) return std::unexpected(modules.error());
    return modules->load({words.begin() + 1, words.end()}).transform([](const auto &) {});
}

Result<> Prompt::look(const Words &words) const {
    const Show to_terminal = [this](std::string_view text) { return show(text); };
    const std::string &command = words[0];
    const auto each = [&](auto one) -> Result<> {
        for (size_t i = 1; i < words.size(); ++i)
            if (auto done = one(words[i], to_terminal); !done) return done;
        return {};
    };
    if (command == "ls") return words.size() == 1 ? list_directory(".", to_terminal) : each(list_directory);
    if (command == "cat") return each(show_file);
    if (command == "mount") return mount(words, to_terminal);
    if (command == "umount") return unmount(words);
    if (command == "blkid") return show_devices(to_terminal);
    if (command == "dmesg") return show_kernel_log(to_terminal);
    if (command == "lsmod") return show_modules(to_terminal);
    if (command == "modprobe") return load_modules(words);
    const std::string_view text = command == "help" ? help_text : command == "plan" ? scene_.plan : scene_.report;
    if (command != "help" && command != "plan" && command != "report")
        return fail(0, "prompt", command, "no such command; 'help' lists commands");
    (void)show(base::printable_lines(text));
    return {};
}

std::optional<Answer> Prompt::answer(std::string_view command) const {
    if (command == "exit" || (command == "continue" && !scene_.aside)) return Answer::go_on;
    if (command == "reboot") return Answer::reboot;
    if (scene_.aside) return std::nullopt;
    if (command == "step") return Answer::step;
    if (command == "retry" && scene_.has_failed) return Answer::retry;
    return std::nullopt;
}

std::optional<Answer> Prompt::obey(const Words &words) {
    if (const auto given = answer(words[0])) return given;
    constexpr std::array<std::string_view, 3> of_the_boot{"continue", "step", "retry"};
    if (scene_.aside && std::ranges::contains(of_the_boot, words[0])) {
        (void)show("the boot is controlled from its own console; 'exit' leaves this prompt\n");
        return std::nullopt;
    }
    auto done = words[0] == "retry" ? fail(0, "retry", "", "no step failed; 'continue' continues the boot") : look(words);
    if (!done) (void)show(base::printable(message(done.error())) + "\n");
    return std::nullopt;
}

}  // namespace

Answer prompt(int terminal, const Scene &scene) {
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted = 1; };  // without SA_RESTART, so that system calls are interrupted
    (void)::sigaction(SIGINT, &action, nullptr);
    Prompt prompt(terminal, scene);
    Words earlier;
    for (;;) {
        const auto line = read_line(terminal, "stage1# ", earlier);
        if (!line) return Answer::go_on;
        interrupted = 0;
        const auto words = base::split_words(*line, "the line");
        if (!words) {
            (void)prompt.show(message(words.error()) + "\n");
            continue;
        }
        if (words->empty()) continue;
        if (earlier.empty() || earlier.back() != *line) earlier.push_back(*line);
        try {
            if (const auto answer = prompt.obey(*words)) return *answer;
        } catch (const std::exception &error) {  // no memory, or a bug: the next command may work
            (void)prompt.show(std::format("{}: {}\n", (*words)[0], error.what()));
        }
    }
}

}  // namespace stage1

#include "hostside/launch/shell_lines.h"

#include <format>
#include <ranges>

#include "hostside/base/run_names.h"
#include "hostside/base/shell_words.h"
#include "hostside/host/swtpm.h"
#include "hostside/qemu/program.h"

namespace hostside {

namespace {

using Words = std::vector<std::string>;

std::string directory_line(const std::string &path) { return quote_words({"mkdir", "-p", "-m", "0700", path}) + "\n"; }

// The line for each kind of step. Empty for steps that only a launcher can do or needs.
class Line {
  public:
    Line(const std::string &qemu_img, const Words &initrd_command) : qemu_img_(qemu_img), initrd_command_(initrd_command) {}

    std::string operator()(const UseCached &) const { return ""; }
    std::string operator()(const JoinVlan &step) const { return directory_line(vlan_directory(step.runtime, step.vlan)); }
    std::string operator()(const MakeOwnDirectory &step) const {
        std::string lines = directory_line(step.path);
        if (step.owner) lines += quote_words({"chown", std::format("{}:{}", step.owner->uid, step.owner->gid), step.path}) + "\n";
        return lines;
    }
    std::string operator()(const ShareFile &step) const {
        const std::string file = step.directory + "/" + step.name;
        return directory_line(step.directory) + quote_words({"cp", step.from, file}) + "\n" +
               quote_words({"chmod", "a+rX", step.directory, file}) + "\n";
    }
    std::string operator()(const WriteFile &step) const {
        Words words = initrd_command_;
        words.push_back(step.path);
        return quote_words(words) + "\n";
    }
    std::string operator()(const RelayGuest &) const { return ""; }
    std::string operator()(const HoldImage &) const { return ""; }
    std::string operator()(const PutAside &step) const { return quote_words({"mv", "-n", step.from, step.to}) + "\n"; }
    std::string operator()(const MakeImage &step) const {
        return std::format("test -e {} || {}\n", quote_word(step.path),
                           quote_words({qemu_img_, "create", "-q", "-f", step.format, step.path, std::format("{}M", step.mib)}));
    }
    std::string operator()(const GrowImage &step) const {
        return quote_words({qemu_img_, "resize", "-q", "-f", step.format, step.path, std::format("{}M", step.mib)}) + "\n";
    }
    std::string operator()(const OverlayImage &step) const {
        return quote_words({qemu_img_, "create", "-q", "-f", "qcow2", "-F", step.backing_format, "-b", step.backing, step.path}) +
               "\n";
    }
    std::string operator()(const CopyFile &step) const {
        const std::string line = quote_words({"cp", step.from, step.to}) + "\n";
        return step.kept ? std::format("test -e {} || {}", quote_word(step.to), line) : line;
    }
    std::string operator()(const WriteStamp &) const { return ""; }

  private:
    const std::string &qemu_img_;
    const Words &initrd_command_;
};

}  // namespace

base::Result<std::string> shell_lines(const LaunchPlan &plan, const Machine &machine, Words initrd_command) {
    auto argv = qemu_argv(machine, plan.host);
    if (!argv) return std::unexpected(argv.error());
    const std::string qemu_img = find_qemu_img(plan.host.qemu).value_or("qemu-img");
    // One command each, because -m applies only to the last directory.
    std::string lines = directory_line(plan.host.runtime) + directory_line(plan.host.run_directory);
    for (const auto &step : plan.steps) lines += std::visit(Line(qemu_img, initrd_command), step);
    if (!plan.host.tpm_socket.empty()) {
        auto tpm = swtpm_daemon(machine, plan.host.tpm_socket);
        if (!tpm) return std::unexpected(tpm.error());
        lines += directory_line(machine.tpm_state) + quote_words(*tpm) + "\n";
    }
    return lines + quote_words(*argv) + "\n";
}

}  // namespace hostside

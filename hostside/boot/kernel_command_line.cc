#include "hostside/boot/kernel_command_line.h"

#include <format>
#include <ranges>

#include "mounts/protocol.h"

namespace hostside {

namespace protocol = mounts::protocol;

namespace {

// The last root= counts.
bool leaves_root_to_fstab(std::string_view params) {
    bool leaves = false;
    for (auto part : std::views::split(params, ' ')) {
        std::string_view word(part);
        while (word.ends_with('\n')) word.remove_suffix(1);
        if (word.starts_with("root=")) leaves = word == "root=fstab";
    }
    return leaves;
}

// Parameters that only the launcher knows.
std::vector<std::string> machine_parameters(const Machine &m, bool with_root) {
    std::vector<std::string> words;
    const auto more = [&](std::string word) { words.push_back(std::move(word)); };
    if (!m.reginfo.empty()) more(std::format("{}={}", protocol::reginfo_parameter, m.reginfo));
    const std::string root = m.disk_image.empty() ? std::string("tmpfs") : std::format("serial={}", protocol::root_disk_serial);
    if (with_root) more(std::format("{}={}", protocol::root_parameter, m.root_device.empty() ? root : m.root_device));
    if (m.store_kind == "erofs" || m.store_kind == "virtiofs")
        more(std::format("{}={}", protocol::store_parameter, m.store_kind));
    more(std::format("{}={}", protocol::union_parameter,
                     !m.writable_store            ? "off"
                     : m.writable_store_use_tmpfs ? "tmpfs"
                                                  : "disk"));
    for (const auto &s : m.shared_directories) {
        std::string options = s.read_only ? "ro" : "";
        if (m.msize > 0) options += std::format("{}msize={}", options.empty() ? "" : ",", m.msize);
        const std::string value = std::format("{}:{}{}{}", s.tag, s.target, options.empty() ? "" : ":", options);
        // Quotes keep blanks inside one parameter.
        const bool blank = value.contains(' ');
        more(std::format("{}={}{}{}", protocol::share_parameter, blank ? "\"" : "", value, blank ? "\"" : ""));
    }
    std::string tags;
    const auto over_virtiofs = [&](std::string_view tag) { tags.append(tags.empty() ? "" : ",").append(tag); };
    if (m.share_kind == "virtiofs")
        for (const auto tag : {protocol::xchg_tag, protocol::shared_tag}) over_virtiofs(tag);
    for (const auto &s : m.shared_directories)
        if (s.proto == "virtiofs") over_virtiofs(s.tag);
    if (!tags.empty()) more(std::format("{}={}", protocol::virtiofs_parameter, tags));
    if (m.use_host_certs)
        more(std::format("{}={}:{}:ro", protocol::share_parameter, protocol::certificates_tag, protocol::certificates_dir));
    return words;
}

bool is_ours(std::string_view word) {
    return word.starts_with("stage1.") || word.substr(0, word.find('=')) == protocol::reginfo_parameter;
}

// The position of a separate `--` outside quotes.
size_t bare_dashes(std::string_view line) {
    bool quoted = false;
    for (size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '"') quoted = !quoted;
        const bool begins = i == 0 || line[i - 1] == ' ';
        if (!quoted && begins && line.substr(i, 2) == "--" && (i + 2 == line.size() || line[i + 2] == ' ')) return i;
    }
    return std::string_view::npos;
}

}  // namespace

void add_parameter(std::string &line, std::string_view word) {
    const size_t dashes = bare_dashes(line);
    if (dashes == std::string::npos)
        line.append(line.empty() ? "" : " ").append(word);
    else
        line.insert(dashes, std::string(word) + " ");
}

std::string kernel_command_line(const Machine &m, std::string_view toplevel_params, const std::string &init) {
    std::string line(toplevel_params);
    while (line.ends_with('\n') || line.ends_with(' ')) line.pop_back();
    const auto more = [&](std::string_view word) { add_parameter(line, word); };
    // The last console becomes /dev/console. A panic ends the machine at once, because QEMU runs with -no-reboot.
    std::vector<std::string> consoles = m.consoles;
    if (consoles.empty()) consoles = m.graphics ? std::vector<std::string>{"ttyS0", "tty0"} : std::vector<std::string>{"ttyS0"};
    for (const auto &console : consoles) more(std::format("console={}", console));
    more("panic=-1");
    if (!init.empty()) more(std::format("{}={}", protocol::init_parameter, init));
    // A system whose own initrd takes the root from its fstab passes root=fstab; a second root= would conflict.
    const bool left = m.root_device.empty() && !m.initrd.empty() && leaves_root_to_fstab(toplevel_params);
    for (const auto &word : machine_parameters(m, !left)) more(word);
    if (m.fstab == "no") more(m.initrd.empty() ? "fstab=no" : "fstab=no rd.fstab=yes");  // its own initrd has a separate table
    if (!m.debug_shell.empty()) more(std::format("boot.shell_on_fail {}=early", protocol::agent_parameter));
    for (const auto &p : m.kernel_params) more(p);
    return line;
}

std::string oem_parameters(const Machine &m, bool fresh_disk, std::string_view boot) {
    std::vector<std::string> words = machine_parameters(m, true);
    if (!boot.empty()) words.push_back(std::format("{}={}", protocol::boot_parameter, boot));
    if (fresh_disk) words.push_back(std::format("{}={}", protocol::fresh_disk_parameter, protocol::root_disk_serial));
    for (const auto &p : m.kernel_params)
        if (is_ours(p)) words.push_back(p);
    std::string text;
    for (const auto &word : words) text.append(text.empty() ? "" : " ").append(word);
    return text;
}

base::Result<CommandLineParts> command_line_parts(const std::string &whole) {
    if (whole.size() <= protocol::command_line_limit_bytes) return CommandLineParts{whole, ""};
    CommandLineParts parts;
    bool quoted = false;
    size_t start = 0;
    for (size_t i = 0; i <= whole.size(); ++i) {
        if (i < whole.size() && whole[i] == '"') quoted = !quoted;
        if (i < whole.size() && (quoted || whole[i] != ' ')) continue;
        const std::string word = whole.substr(start, i - start);
        start = i + 1;
        if (word.empty()) continue;
        std::string &part = is_ours(word) ? parts.parameters : parts.line;
        part += (part.empty() ? "" : " ") + word;
    }
    if (parts.line.size() > protocol::command_line_limit_bytes)
        return base::fail(0, "kernel command line", "",
                          std::format("it has {} bytes, even without the parameters that the initrd can carry; the kernel cuts "
                                      "it off at {}: use fewer kernelParams",
                                      parts.line.size(), protocol::command_line_limit_bytes));
    return parts;
}

}  // namespace hostside

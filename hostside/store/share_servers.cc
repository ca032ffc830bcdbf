#include "hostside/store/share_servers.h"

#include <sys/stat.h>
#include <unistd.h>

#include <format>

#include "hostside/store/virtiofsd.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace protocol = mounts::protocol;

// A share as its decision needs it.
struct Candidate {
    std::string tag, source, model, wish;
    bool read_only = false;
    bool private_to_us = false;  // others on this host have no access to the directory
};

// Why no directory can go over virtiofs on this host.
std::string host_hindrance() {
    if (auto program = find_virtiofsd(); !program) return base::message(program.error());
    if (auto possible = check_sandbox(); !possible) return base::message(possible.error());
    return "";
}

bool only_root_reaches(const std::string &directory) {
    struct stat st{};
    constexpr mode_t of_others = S_IRWXG | S_IRWXO;
    return ::stat(directory.c_str(), &st) == 0 && st.st_uid == 0 && (st.st_mode & of_others) == 0;
}

// Unlike 9p, virtiofsd can store a guest's owners only as the owners of the files.
std::string hindrance_of(const Candidate &share) {
    const bool ours = share.private_to_us || only_root_reaches(share.source);
    if (share.model.starts_with("mapped"))
        return std::format("securityModel {} needs 9p, which stores the guest's owners beside the files", share.model);
    if (::geteuid() == 0 && !share.read_only && !ours && share.model.empty())
        return "under root, the guest's owners, devices and set-user-ID bits would be real on this host; share it with readOnly, "
               "give it to root with mode 700, or allow this with securityModel none in sharedDirectories";
    if (share.source.empty()) return "";
    auto enough = check_share_descriptors(share.source);
    return enough ? "" : base::message(enough.error());
}

// 9p or virtiofs.
Result<std::string> decided(const Candidate &share, const std::string &hindrance, std::vector<std::string> &notes) {
    if (share.wish == "9p") return "9p";
    if (hindrance.empty()) return "virtiofs";
    if (share.wish == "virtiofs") return fail(0, "share over virtiofs", share.tag, hindrance);
    notes.push_back(std::format("{} is shared over 9p: {}", share.tag, hindrance));
    return "9p";
}

}  // namespace

Result<std::vector<std::string>> decide_shares(Machine &m, const std::string &hindrance) {
    std::vector<std::string> notes;
    std::vector<Candidate> candidates{{.tag = m.shared_dir.empty() ? "xchg" : "shared",
                                       .source = m.shared_dir,
                                       .model = "",
                                       .wish = m.share_kind,
                                       .private_to_us = m.shared_dir.empty()}};
    for (const auto &s : m.shared_directories)
        candidates.push_back({.tag = s.tag,
                              .source = s.source,
                              .model = s.security_model,
                              .wish = s.proto.empty() ? m.share_kind : s.proto,
                              .read_only = s.read_only});
    bool wanted = false, demanded = false;
    for (const auto &share : candidates) {
        wanted = wanted || share.wish != "9p";
        demanded = demanded || share.wish == "virtiofs";
    }
    std::string general = hindrance;
    if (wanted && general.empty()) general = host_hindrance();
    // If all have the same reason, the user reads it once.
    if (wanted && !demanded && !general.empty()) {
        notes.push_back("directories are shared over 9p: " + general);
        m.share_kind = "9p";
        for (auto &s : m.shared_directories) s.proto = "9p";
        return notes;
    }
    std::vector<std::string> kinds;
    for (const auto &share : candidates) {
        auto kind = decided(share, share.wish == "9p" || !general.empty() ? general : hindrance_of(share), notes);
        if (!kind) return std::unexpected(kind.error());
        kinds.push_back(std::move(*kind));
    }
    m.share_kind = kinds.front();
    for (size_t i = 0; i < m.shared_directories.size(); ++i) m.shared_directories[i].proto = kinds[i + 1];
    return notes;
}

std::vector<ServedDirectory> served_directories(const Machine &m, const std::string &xchg, const std::string &shared,
                                                const std::string &run_directory) {
    std::vector<ServedDirectory> served;
    const auto add = [&](std::string_view tag, const std::string &source, bool read_only) {
        // A tag may be longer than a socket's path may be.
        served.push_back({std::string(tag), source, std::format("{}/fs-{}", run_directory, served.size()), read_only});
    };
    if (m.share_kind == "virtiofs") {
        add(protocol::xchg_tag, xchg, false);
        add(protocol::shared_tag, shared, false);
    }
    for (const auto &s : m.shared_directories)
        if (s.proto == "virtiofs") add(s.tag, s.source, s.read_only);
    return served;
}

Result<std::vector<DirectoryServer>> serve(const std::vector<ServedDirectory> &directories) {
    std::vector<DirectoryServer> servers;
    for (const auto &[tag, source, socket, read_only] : directories) {
        auto daemon = share_over_virtiofs(source, socket, read_only);
        if (!daemon) return std::unexpected(daemon.error());
        servers.push_back({tag, std::move(*daemon)});
    }
    return servers;
}

}  // namespace hostside

#include "hostside/qemu/parts.h"

#include <format>
#include <set>

#include "mounts/protocol.h"

namespace hostside {

namespace protocol = mounts::protocol;

namespace {

void add_share(Argv &argv, const std::string &path, std::string_view tag, std::string_view model, bool read_only) {
    add(argv, "-virtfs",
        std::format("local,path={},security_model={},mount_tag={}{},multidevs=remap", escaped(path), model, escaped(tag),
                    read_only ? ",readonly=on" : ""));
}

void add_served(Argv &argv, std::string_view id, const std::string &socket, std::string_view tag) {
    add(argv, "-chardev", std::format("socket,id={},path={}", id, escaped(socket)));
    add(argv, "-device", std::format("vhost-user-fs-pci,chardev={},tag={}", id, escaped(tag)));
}

// QEMU makes an id from the tag (qemu: id_wellformed); the target goes into the kernel's command line.
base::Result<> check_share(const SharedDirectory &s) {
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    constexpr std::string_view others = "0123456789-._";
    if (s.tag.empty() || !letters.contains(s.tag.front()) ||
        s.tag.find_first_not_of(std::string(letters) + std::string(others)) != std::string::npos)
        return base::fail(0, "share", s.tag, "a tag must begin with a letter and have only letters, digits, '-', '.' and '_'");
    if (!s.target.starts_with('/') || s.target.find_first_of(":\"\n\t") != std::string::npos)
        return base::fail(0, "share", s.tag,
                          std::format("target {} must begin with '/' and have no ':', '\"', tab or newline", s.target));
    return {};
}

// Under root, `none` would make a guest's setuid bits, owners and devices real on the host. So it is used only where others
// have no access, as in xchg, and where the guest cannot write. There, the host's links are links for the guest.
std::string_view security_model(const HostFacts &facts, const std::string &path, bool read_only) {
    if (!facts.root || read_only) return "none";
    if (!facts.without_attributes.contains(path)) return "mapped-xattr";
    return path == facts.xchg ? "none" : "mapped-file";
}

}  // namespace

base::Result<> add_shares(Argv &argv, const Machine &m, const HostFacts &facts) {
    std::set<std::string, std::less<>> tags;
    if (!m.store.empty()) {
        if (!facts.store_socket.empty()) {
            add_served(argv, "store", facts.store_socket, protocol::store_tag);
        } else if (facts.store_image.empty())
            add_share(argv, facts.store_directory.empty() ? m.store : facts.store_directory, protocol::store_tag, "none", true);
        tags.emplace(protocol::store_tag);
    }
    const auto add_directory = [&](const std::string &path, std::string_view tag, std::string_view model, bool read_only) {
        const auto served = facts.share_sockets.find(tag);
        if (served == facts.share_sockets.end()) return add_share(argv, path, tag, model, read_only);
        add_served(argv, std::format("fs-{}", tag), served->second, tag);
    };
    for (const auto &[tag, path] : {std::pair{protocol::xchg_tag, facts.xchg}, {protocol::shared_tag, facts.shared}}) {
        if (path.empty()) continue;
        add_directory(path, tag, security_model(facts, path, false), false);
        tags.emplace(tag);
    }
    if (!facts.certificates.empty()) {
        add_share(argv, facts.certificates, protocol::certificates_tag, "none", true);
        tags.emplace(protocol::certificates_tag);
    }
    for (const auto &s : m.shared_directories) {
        if (auto ok = check_share(s); !ok) return ok;
        if (!tags.emplace(s.tag).second)
            return base::fail(0, "share", s.tag,
                              "the tag is taken (the launcher itself uses store, xchg and shared); choose another name");
        const std::string_view model = s.security_model.empty() ? security_model(facts, s.source, s.read_only) : s.security_model;
        add_directory(s.source, s.tag, model, s.read_only);
    }
    return {};
}

}  // namespace hostside

#include "unionfs/fuse/credentials.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "mounts/base/fd.h"
#include "unionfs/fuse/operations.h"

namespace unionfs {

namespace {

std::string text_of(int processes, const std::string &path) {
    const base::Fd fd(::openat(processes, path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string text;
    char part[4096];
    for (ssize_t n = 0; fd && (n = ::read(fd.get(), part, sizeof part)) > 0;) text.append(part, static_cast<size_t>(n));
    return text;
}

std::string line_of(const std::string &text, const std::string &word) {
    const size_t at = text.find("\n" + word + ":");
    if (at == std::string::npos) return {};
    const size_t begin = at + word.size() + 2;
    return text.substr(begin, text.find('\n', begin) - begin);
}

bool is_of_our_namespace(int processes, const std::string &process) {
    struct stat ours{}, theirs{};
    return ::fstatat(processes, "self/ns/user", &ours, 0) == 0 &&
           ::fstatat(processes, (process + "/ns/user").c_str(), &theirs, 0) == 0 && ours.st_dev == theirs.st_dev &&
           ours.st_ino == theirs.st_ino;
}

}  // namespace

Credentials::Credentials(fuse_req_t request) : group_(fuse_req_ctx(request)->gid) {
    const pid_t pid = fuse_req_ctx(request)->pid;
    if (pid <= 0) return;
    const int processes = session_of(request).processes;
    const std::string process = std::to_string(pid);
    const std::string status = text_of(processes, process + "/status");
    groups_ = line_of(status, "Groups");
    if (is_of_our_namespace(processes, process)) capabilities_ = std::strtoull(line_of(status, "CapEff").c_str(), nullptr, 16);
}

bool Credentials::is_in_group(gid_t group) const {
    if (group == group_) return true;
    const char *at = groups_.c_str();
    for (char *end = nullptr;; at = end) {
        const unsigned long number = std::strtoul(at, &end, 10);
        if (end == at) return false;
        if (number == group) return true;
    }
}

}  // namespace unionfs

// The unions that are compared, mounted one at a time over the same lower; and what the daemon of one costs.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace bench {

struct Peer {
    std::string name;
    std::vector<std::string> argv;  // @L @U @W @M stand for lower, upper, work, mount point
    bool ours = false;
};

// What there is to compare with; `program` of ours is absolute.
std::vector<Peer> known_peers(const std::string &program);
// A further one that takes fuse-overlayfs's options, as NAME=PROGRAM.
Peer peer_of(const std::string &word);

struct Daemon {  // zero: the kernel's
    double peak_mebibytes = 0, descriptors = 0, threads = 0;
};

class Mounted {  // a peer with directories of its own
  public:
    Mounted(Peer peer, std::filesystem::path base, std::filesystem::path lower);
    ~Mounted();
    Mounted(const Mounted &) = delete;
    Mounted &operator=(const Mounted &) = delete;
    // A new mount over the same upper, with nothing of it in the kernel's caches. The working directory is left for /.
    void again();
    [[nodiscard]] std::filesystem::path point() const { return base_ / "mount"; }
    [[nodiscard]] Daemon daemon() const;
    // Processor time that the daemon's processes have taken so far; theirs that ended is left out.
    [[nodiscard]] double daemon_seconds() const;
    const Peer peer;

  private:
    void mount();
    void unmount();
    [[nodiscard]] std::vector<pid_t> processes() const;
    std::filesystem::path base_, lower_;
};

int run(std::vector<std::string> argv);       // its wait status; its stdout is dropped, its stderr shown if that is not 0
void need(bool ok, const std::string &what);  // else ends the program, with errno's text

}  // namespace bench

#include "tests/parity/load.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "mounts/base/fd.h"

namespace parity {

namespace fs = std::filesystem;

struct Load::Shared {
    std::atomic<bool> stop;
    std::atomic<unsigned long> operations;
    char complaints[16][256];
};

namespace {

constexpr int lower_files = 12;
constexpr int lower_twins = 4;  // the number of these that have a second name

// Thrown out of the process that found it.
struct Wrong {
    std::string what;
};

void must(bool right, const std::string &what) {
    if (!right) throw Wrong{std::format("{}: errno {}", what, errno)};
}

std::string content_of(const std::string &name) {
    const base::Fd fd(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
    must(fd.valid(), "open " + name);
    std::string text(200000, '\0');
    const ssize_t n = ::pread(fd.get(), text.data(), text.size(), 0);
    must(n >= 0, "read " + name);
    text.resize(static_cast<size_t>(n));
    return text;
}

class Client {
  public:
    Client(std::string directory, unsigned seed) : directory_(std::move(directory)), random_(seed) {
        must(::chdir(directory_.c_str()) == 0, "chdir " + directory_);
        for (int i = 0; i < lower_files; ++i) {
            const std::string name = std::format("lower-{}", i);
            files_[name] = std::make_shared<std::string>(name);
        }
        for (int i = 0; i < lower_twins; ++i) {
            const std::string twin = std::format("twin-{}", i);
            files_[twin] = files_[std::format("lower-{}", i)];
            append(twin);
        }
    }

    void step() {
        switch (pick(12)) {
        case 0: return create();
        case 1: return append(some());
        case 2: return move(fresh());
        case 3: return move(some());
        case 4: return remove();
        case 5: return link();
        case 6: return directories();
        case 7: return exchange();
        case 8: return unlinked();
        case 9: return attributes();
        case 10: return list();
        default: return replace();
        }
    }

  private:
    unsigned pick(size_t below) { return static_cast<unsigned>(random_() % below); }
    std::string fresh() { return std::format("name-{}", ++last_name_); }
    std::string some() { return std::next(files_.begin(), pick(files_.size()))->first; }
    std::string bytes() { return std::string(1 + pick(9000), static_cast<char>('a' + pick(26))); }
    void check(const std::string &name) const { must(content_of(name) == *files_.at(name), "content of " + name); }

    void create() {
        if (files_.size() > 60) return remove();
        const std::string name = fresh(), data = bytes();
        const base::Fd fd(::open(name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0640));
        must(fd.valid(), "create " + name);
        must(::write(fd.get(), data.data(), data.size()) == static_cast<ssize_t>(data.size()), "write " + name);
        files_[name] = std::make_shared<std::string>(data);
        check(name);
    }
    void append(const std::string &name) {
        const std::string data = bytes();
        const base::Fd fd(::open(name.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
        must(fd.valid(), "open to append " + name);
        must(::write(fd.get(), data.data(), data.size()) == static_cast<ssize_t>(data.size()), "append " + name);
        *files_[name] += data;
        check(name);
        if (files_[name]->size() > 100000) replace();
    }
    void replace() {
        const std::string name = some(), data = bytes();
        const base::Fd fd(::open(name.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
        must(fd.valid(), "open to truncate " + name);
        must(::write(fd.get(), data.data(), data.size()) == static_cast<ssize_t>(data.size()), "write " + name);
        *files_[name] = data;
        check(name);
    }
    void move(const std::string &to) {
        const std::string from = some();
        if (files_.contains(to) && files_[to] == files_[from]) return;  // the same file, so nothing happens (rename(2))
        must(::rename(from.c_str(), to.c_str()) == 0, std::format("rename {} {}", from, to));
        files_[to] = files_[from];
        files_.erase(from);
        must(::access(from.c_str(), F_OK) < 0 && errno == ENOENT, "old name is there: " + from);
        check(to);
    }
    void exchange() {
        const std::string one = some(), two = some();
        if (files_[one] == files_[two]) return;
        must(::syscall(SYS_renameat2, AT_FDCWD, one.c_str(), AT_FDCWD, two.c_str(), RENAME_EXCHANGE) == 0,
             std::format("exchange {} {}", one, two));
        std::swap(files_[one], files_[two]);
        check(one);
        check(two);
    }
    void remove() {
        if (files_.size() < 8) return create();
        const std::string name = some();
        must(::unlink(name.c_str()) == 0, "unlink " + name);
        files_.erase(name);
        must(::access(name.c_str(), F_OK) < 0 && errno == ENOENT, "unlinked name is there: " + name);
    }
    void link() {
        if (files_.size() > 60) return remove();
        const std::string from = some(), to = fresh();
        must(::link(from.c_str(), to.c_str()) == 0, std::format("link {} {}", from, to));
        files_[to] = files_[from];
        check(to);
    }
    // The directory `sub` belongs to the lower, and moves with its content.
    void directories() {
        const std::string name = fresh(), moved = fresh();
        must(::mkdir(name.c_str(), 0755) == 0, "mkdir " + name);
        must(::mkdir((name + "/in").c_str(), 0755) == 0, "mkdir in " + name);
        must(::rmdir(name.c_str()) < 0 && errno == ENOTEMPTY, "rmdir of a full directory " + name);
        must(::symlink("target", (name + "/link").c_str()) == 0, "symlink in " + name);
        must(fs::read_symlink(name + "/link") == "target", "readlink in " + name);
        must(::rename(sub_.c_str(), moved.c_str()) == 0, std::format("rename {} {}", sub_, moved));
        sub_ = moved;
        must(content_of(sub_ + "/inside") == "inside", "content in " + sub_);
        must(::unlink((name + "/link").c_str()) == 0, "unlink in " + name);
        must(::rmdir((name + "/in").c_str()) == 0 && ::rmdir(name.c_str()) == 0, "rmdir " + name);
        must(::access(name.c_str(), F_OK) < 0 && errno == ENOENT, "removed directory is there: " + name);
    }
    void unlinked() {
        if (files_.size() < 8) return create();
        const std::string name = some(), data = bytes();
        const base::Fd fd(::open(name.c_str(), O_RDWR | O_CLOEXEC));
        must(fd.valid(), "open " + name);
        must(::unlink(name.c_str()) == 0, "unlink open " + name);
        const std::shared_ptr<std::string> content = files_[name];
        const std::string before = *content;
        files_.erase(name);
        std::string got(before.size() + data.size(), '\0');
        must(::pwrite(fd.get(), data.data(), data.size(), static_cast<off_t>(before.size())) == static_cast<ssize_t>(data.size()),
             "write to unlinked " + name);
        must(::pread(fd.get(), got.data(), got.size(), 0) == static_cast<ssize_t>(got.size()), "read of unlinked " + name);
        must(got == before + data, "content of unlinked " + name);
        *content = got;  // its other names show the change
    }
    void attributes() {
        const std::string name = some();
        must(::setxattr(name.c_str(), "user.load", "1", 1, XATTR_CREATE) == 0, "setxattr create " + name);
        must(::setxattr(name.c_str(), "user.load", "2", 1, XATTR_REPLACE) == 0, "setxattr replace " + name);
        must(::setxattr(name.c_str(), "user.load", "3", 1, XATTR_CREATE) < 0 && errno == EEXIST, "setxattr twice " + name);
        char value = 0;
        must(::getxattr(name.c_str(), "user.load", &value, 1) == 1 && value == '2', "getxattr " + name);
        must(::removexattr(name.c_str(), "user.load") == 0, "removexattr " + name);
        must(::removexattr(name.c_str(), "user.load") < 0 && errno == ENODATA, "removexattr twice " + name);
    }
    void list() {
        std::set<std::string> seen;
        std::error_code error;
        for (const auto &entry : fs::directory_iterator(".", error)) seen.insert(entry.path().filename());
        must(!error, "list " + error.message());
        std::set<std::string> wanted{sub_};
        for (const auto &[name, text] : files_) wanted.insert(name);
        must(seen == wanted, std::format("list: {} names, {} expected", seen.size(), wanted.size()));
    }

    std::string directory_;
    std::mt19937 random_;
    std::map<std::string, std::shared_ptr<std::string>> files_{};
    std::string sub_ = "sub";
    unsigned last_name_ = 0;
};

}  // namespace

void populate_load(const std::string &root, int processes) {
    for (int p = 0; p < processes; ++p) {
        const fs::path directory = fs::path(root) / std::format("client-{}", p);
        fs::create_directories(directory / "sub");
        std::ofstream(directory / "sub/inside") << "inside";
        for (int i = 0; i < lower_files; ++i) std::ofstream(directory / std::format("lower-{}", i)) << std::format("lower-{}", i);
        for (int i = 0; i < lower_twins; ++i)
            fs::create_hard_link(directory / std::format("lower-{}", i), directory / std::format("twin-{}", i));
    }
}

Load::Load(const std::string &root, int processes, unsigned seed)
    : shared_(static_cast<Shared *>(::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    for (int p = 0; p < processes; ++p) {
        const pid_t child = ::fork();
        if (child != 0) {
            pids_.push_back(child);
            continue;
        }
        try {
            Client client(std::format("{}/client-{}", root, p), seed + static_cast<unsigned>(p));
            while (!shared_->stop) {
                client.step();
                ++shared_->operations;
            }
        } catch (const Wrong &wrong) {
            wrong.what.copy(shared_->complaints[p], 255);
        } catch (const std::exception &error) {
            std::string(error.what()).copy(shared_->complaints[p], 255);
        }
        ::_exit(0);
    }
}

Load::~Load() {
    for (const pid_t pid : pids_) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
    ::munmap(shared_, sizeof(Shared));
}

std::string Load::finish() {
    shared_->stop = true;
    std::string text;
    for (size_t p = 0; p < pids_.size(); ++p) {
        ::waitpid(pids_[p], nullptr, 0);
        if (shared_->complaints[p][0] != '\0') text += std::format("client {}: {}\n", p, shared_->complaints[p]);
    }
    pids_.clear();
    return text;
}

unsigned long Load::operations() const { return shared_->operations; }

}  // namespace parity

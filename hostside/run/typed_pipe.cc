#include "hostside/run/typed_pipe.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "hostside/base/run_names.h"

namespace hostside {

base::Result<std::string> make_typed_pipe(const std::string &run_directory) {
    std::string path = run_directory + "/" + std::string(typed_pipe);
    if (::mkfifo((path + ".in").c_str(), 0600) < 0) return base::fail(errno, "make FIFO", path + ".in");
    if (::symlink("/dev/null", (path + ".out").c_str()) < 0) return base::fail(errno, "link", path + ".out");
    return path;
}

}  // namespace hostside

#include "hostside/base/program_path.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <ranges>
#include <string_view>

namespace hostside {

std::vector<std::string> programs_named(const std::string &name, const std::vector<std::string> &further) {
    std::vector<std::string> directories;
    const char *path = std::getenv("PATH");
    for (const auto part : std::views::split(std::string_view(path != nullptr ? path : ""), ':'))
        directories.emplace_back(std::string_view(part));
    directories.insert(directories.end(), further.begin(), further.end());
    std::vector<std::string> found;
    for (const auto &directory : directories) {
        std::string program = directory + "/" + name;
        struct stat st{};
        if (directory.starts_with('/') && ::access(program.c_str(), X_OK) == 0 && ::stat(program.c_str(), &st) == 0 &&
            S_ISREG(st.st_mode))
            found.push_back(std::move(program));
    }
    return found;
}

}  // namespace hostside

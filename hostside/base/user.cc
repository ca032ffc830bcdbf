#include "hostside/base/user.h"

#include <pwd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <limits>
#include <string_view>

namespace hostside {

namespace {

// The largest number is invalid, because chown(2) takes it for "leave unchanged".
bool number(std::string_view text, unsigned &value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && value != std::numeric_limits<unsigned>::max();
}

}  // namespace

base::Result<User> user_of(const std::string &word) {
    User user;
    const size_t colon = word.find(':');
    if (colon != std::string::npos && number(std::string_view(word).substr(0, colon), user.uid) &&
        number(std::string_view(word).substr(colon + 1), user.gid))
        return user;
    passwd entry{};
    passwd *found = nullptr;
    std::array<char, 4096> room{};
    const int code = ::getpwnam_r(word.c_str(), &entry, room.data(), room.size(), &found);
    if (found != nullptr) return User{found->pw_uid, found->pw_gid};
    return base::fail(code == ENOENT ? 0 : code, "find user", word, "expected a name of /etc/passwd, or UID:GID");
}

}  // namespace hostside

// An expected failure as a value: which step, on what, why (errno), and what to do about it.
//
// Every function of this project that can fail returns a Result. Exceptions are for bugs and out-of-memory; main catches them.
// Only the main.cc files and stage1/init/init.cc print an Error; all other code returns it.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace base {

struct Error {
    std::string step;  // what was being done, in the field's terms: "mount", "open", "probe"
    std::string path;  // on what object; empty when there is none
    int code = 0;      // errno; 0 when no system call failed
    std::string hint;  // why, or what to do; may be empty when the errno says enough
};

template <class T = void>
using Result = std::expected<T, Error>;

// For `return fail(errno, "mkdir", name);`
std::unexpected<Error> fail(int code, std::string_view step, std::string_view path, std::string_view hint = {});

// One line without newline: `mount '/nix/store': No such device; the kernel has no 9p`.
std::string message(const Error &error);

// The text of an errno; "error 4711" for an unknown one.
std::string errno_text(int code);

}  // namespace base

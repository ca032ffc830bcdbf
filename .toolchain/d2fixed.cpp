// Replaces libc++'s src/ryu/d2fixed.cpp. Prints a double with a given precision by the C library's printf, which is exact and
// rounds half to even, as Ryu does. Ryu's tables would add 100 KiB to every program that uses std::format.
#include <algorithm>
#include <charconv>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <memory>

#include "include/ryu/d2fixed.h"

_LIBCPP_BEGIN_NAMESPACE_STD

namespace {

// printf needs space for a final null byte, which the caller's buffer does not have.
to_chars_result print(char *first, char *last, const char *format, uint32_t precision, double value) {
  if (precision > INT_MAX)
    return {last, errc::value_too_large};
  const int length = snprintf(nullptr, 0, format, static_cast<int>(precision), value);
  if (length < 0 || length > last - first)
    return {last, errc::value_too_large};
  const unique_ptr<char[]> text(new char[static_cast<size_t>(length) + 1]);
  snprintf(text.get(), static_cast<size_t>(length) + 1, format, static_cast<int>(precision), value);
  return {copy(text.get(), text.get() + length, first), errc{}};
}

} // namespace

// Appends exactly `length` digits of an integer, with leading zeros. f2s.cpp calls it.
void __append_n_digits(const uint32_t length, uint32_t digits, char *const result) {
  for (uint32_t i = length; i > 0; --i, digits /= 10)
    result[i - 1] = static_cast<char>('0' + digits % 10);
}

void __append_nine_digits(const uint32_t digits, char *const result) { __append_n_digits(9, digits, result); }

to_chars_result __d2fixed_buffered_n(char *first, char *last, const double value, const uint32_t precision) {
  return print(first, last, "%.*f", precision, value);
}

to_chars_result __d2exp_buffered_n(char *first, char *last, const double value, const uint32_t precision) {
  return print(first, last, "%.*e", precision, value);
}

_LIBCPP_END_NAMESPACE_STD

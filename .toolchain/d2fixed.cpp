// Instead of libc++'s src/ryu/d2fixed.cpp: a double with a given precision through the C library's printf, which is exact
// and rounds half to even as Ryu does. Ryu's tables for it are 100 KiB in every program that uses std::format.
#include <algorithm>
#include <charconv>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <memory>

#include "include/ryu/d2fixed.h"

_LIBCPP_BEGIN_NAMESPACE_STD

namespace {

// The caller's buffer has no place for a final null byte, so the text is made in one of its own.
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

// Exactly so many digits of a whole number, with zeros before it, for the file beside this one (f2s.cpp).
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

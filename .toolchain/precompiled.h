// The standard headers that most units include, compiled once. Only the sysroot's compiler gets them (see the Makefile), so
// every file still includes what it needs.
#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <format>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

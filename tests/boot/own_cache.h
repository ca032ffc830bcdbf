// A cache of a test's own. A machine takes a store image that is in the cache, so a test that makes images must not leave them to
// the tests that run after it.
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <filesystem>
#include <string>

namespace boot_test {

class OwnCache {
  public:
    OwnCache() {
        path_ = (std::filesystem::temp_directory_path() / "boot-cache.XXXXXX").string();
        REQUIRE(::mkdtemp(path_.data()) != nullptr);
        ::setenv("XDG_CACHE_HOME", path_.c_str(), 1);
    }
    OwnCache(const OwnCache &) = delete;
    OwnCache &operator=(const OwnCache &) = delete;
    ~OwnCache() {
        ::unsetenv("XDG_CACHE_HOME");
        std::error_code error;
        std::filesystem::remove_all(path_, error);
    }

    // How many store images there are. Beside each are links that keep its closure from the garbage collector.
    [[nodiscard]] size_t images() const {
        std::error_code error;
        const std::filesystem::directory_iterator entries(path_ + "/runvm/store-images", error);
        return static_cast<size_t>(
            std::ranges::count_if(entries, [](const auto &entry) { return entry.path().extension() == ".erofs"; }));
    }

  private:
    std::string path_;
};

}  // namespace boot_test

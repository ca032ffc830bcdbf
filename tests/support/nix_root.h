// A target root with a Nix database, registrations to load there, and real Nix of several versions to query it.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"
#include "mounts/protocol.h"
#include "stage1/nixdb/register_closure.h"

namespace nix_test {

// A distinct store path for each number; `name` follows the dash.
std::string path_of(size_t n, std::string_view name = "package");

// The registration of path `n`. `hash`: this digit 64 times.
std::string entry(size_t n, const std::vector<size_t> &references = {}, std::string_view size = "120", char hash = 'a');

// The first column of all rows of a query, separated by blanks.
std::string query(const std::string &database, const std::string &sql);

class Root {
  public:
    Root();
    Root(const Root &) = delete;
    Root &operator=(const Root &) = delete;
    ~Root();

    // Writes `text` to /reg in the root and loads it.
    base::Result<stage1::nixdb::RegisterReport> load(const std::string &text,
                                                     mounts::RegisterMode mode = mounts::RegisterMode::automatic) const;
    // The error of a load; empty if it succeeded.
    std::string error(const std::string &text, mounts::RegisterMode mode = mounts::RegisterMode::automatic) const;
    std::string query(const std::string &sql) const { return nix_test::query(database(), sql); }
    std::string database() const { return path + "/nix/var/nix/db/db.sqlite"; }
    void put(size_t n) const;  // makes a directory at that store path

    std::string path;
};

// The Nix tools of a Debian suite (tests/support/nix-versions). Skips the test if there are none.
class Nix {
  public:
    explicit Nix(const std::string &suite);
    // The output of `tool`, run on the root `store`; it must succeed.
    std::string operator()(const std::string &tool, const std::string &store, std::vector<std::string> words) const;
    // The same, but the caller checks the exit status.
    int status(const std::string &tool, const std::string &store, std::vector<std::string> words,
               const std::string &input = {}) const;
    // For callers that run it themselves: the directory for PATH, and the settings as a nix.conf.
    [[nodiscard]] const std::string &directory() const { return bin_; }
    [[nodiscard]] std::string configuration() const;

  private:
    std::vector<std::string> argv(const std::string &tool, const std::string &store, std::vector<std::string> words) const;
    std::string bin_;
    std::vector<std::string> options_;
};

std::vector<std::string> lines(const std::string &text);

}  // namespace nix_test

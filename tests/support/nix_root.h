// A target root with a Nix database in it, registrations to load there, and real Nix of several versions to ask about it.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"
#include "mounts/protocol.h"
#include "stage1/nixdb/register_closure.h"

namespace nix_test {

// A store path of its own for each number; `name` after the dash.
std::string path_of(size_t n, std::string_view name = "package");

// The registration of path `n`. `hash`: 64 times that.
std::string entry(size_t n, const std::vector<size_t> &references = {}, std::string_view size = "120", char hash = 'a');

// The first column of all rows of a query, separated by blanks.
std::string query(const std::string &database, const std::string &sql);

class Root {
  public:
    Root();
    Root(const Root &) = delete;
    Root &operator=(const Root &) = delete;
    ~Root();

    // `text` becomes /reg in the root, and is loaded.
    base::Result<stage1::nixdb::RegisterReport> load(const std::string &text,
                                                     mounts::RegisterMode mode = mounts::RegisterMode::automatic) const;
    // The error of a load; empty: there was none.
    std::string error(const std::string &text, mounts::RegisterMode mode = mounts::RegisterMode::automatic) const;
    std::string query(const std::string &sql) const { return nix_test::query(database(), sql); }
    std::string database() const { return path + "/nix/var/nix/db/db.sqlite"; }
    void put(size_t n) const;  // a directory at that store path

    std::string path;
};

// The nix tools of a Debian suite (tests/support/nix-versions). Skips the test when there are none.
class Nix {
  public:
    explicit Nix(const std::string &suite);
    // What `tool`, at work in the root `store`, says; it must succeed.
    std::string operator()(const std::string &tool, const std::string &store, std::vector<std::string> words) const;
    // The exit status is the caller's to judge.
    int status(const std::string &tool, const std::string &store, std::vector<std::string> words,
               const std::string &input = {}) const;
    // For who calls it himself: the directory for PATH, and its settings as a nix.conf.
    [[nodiscard]] const std::string &directory() const { return bin_; }
    [[nodiscard]] std::string configuration() const;

  private:
    std::vector<std::string> argv(const std::string &tool, const std::string &store, std::vector<std::string> words) const;
    std::string bin_;
    std::vector<std::string> options_;
};

std::vector<std::string> lines(const std::string &text);

}  // namespace nix_test

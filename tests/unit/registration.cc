#include "mounts/nix/registration.h"

#include <catch_amalgamated.hpp>

namespace {

constexpr const char *path_a = "/nix/store/9d572xnr5b0xyf6mfkn0ljdkflfxdi02-top";
constexpr const char *path_b = "/nix/store/a3g5qj6gvgc71yph2gapgjk7rxjgwirf-b";
// SHA-256 of the empty string in three encodings, from `nix-hash --type sha256 --to-…`.
constexpr const char *hash16 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr const char *hash32 = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
constexpr const char *hash64 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

std::string error_of(const std::string &text) {
    mounts::RegistrationReader reader(std::string_view(text), "reg");
    mounts::PathInfo info;
    for (;;) {
        const auto more = reader.next(info);
        if (!more) return message(more.error());
        if (!*more) return "";
    }
}

std::string entry(const std::string &path, const std::string &hash = hash16, const std::string &rest = "120\n\n0\n") {
    return path + "\n" + hash + "\n" + rest;
}

}  // namespace

TEST_CASE("a hash is the same in every spelling") {
    for (const std::string &text :
         {std::string(hash16), std::string(hash32), std::string(hash64), "sha256:" + std::string(hash16),
          "sha256:" + std::string(hash32), "sha256:" + std::string(hash64), "sha256-" + std::string(hash64)}) {
        INFO(text);
        const auto hash = mounts::parse_hash(text);
        REQUIRE(hash);
        CHECK(mounts::base16(*hash) == hash16);
        CHECK(mounts::nix32(*hash) == hash32);
    }
}

TEST_CASE("what is almost a hash is none") {
    CHECK_FALSE(mounts::parse_hash(""));
    CHECK_FALSE(mounts::parse_hash("sha256:"));
    CHECK_FALSE(mounts::parse_hash("sha256-" + std::string(hash16)));
    CHECK_FALSE(mounts::parse_hash(std::string(hash16).replace(3, 1, "g")));
    CHECK_FALSE(mounts::parse_hash(std::string(hash32).replace(0, 1, "z")));  // more than 256 bits
    CHECK_FALSE(mounts::parse_hash(std::string(hash32).replace(5, 1, "e")));  // not a digit in Nix's base 32
    CHECK_FALSE(mounts::parse_hash(std::string(hash64).replace(43, 1, "A")));
    CHECK_FALSE(mounts::parse_hash(std::string(hash64).replace(42, 1, "V")));  // bits past the last byte
}

TEST_CASE("entries are read, and printed as the producers print them") {
    const std::string text =
        entry(path_a, hash32, "7\n" + std::string(path_b) + "\n2\n" + path_a + "\n" + path_b + "\n") + entry(path_b);
    mounts::RegistrationReader reader(std::string_view(text), "reg");
    mounts::PathInfo info;
    REQUIRE(reader.next(info).value());
    CHECK(info.nar_size == 7);
    CHECK(info.deriver == path_b);
    CHECK(info.references == std::vector<std::string>{path_a, path_b});
    std::string dump;
    mounts::print(dump, info, mounts::RegistrationFormat::dump_db);
    CHECK(dump == entry(path_a, hash16, "7\n" + std::string(path_b) + "\n2\n" + path_a + "\n" + path_b + "\n"));
    std::string registration;
    mounts::print(registration, info, mounts::RegistrationFormat::registration);
    CHECK(registration ==
          entry(path_a, "sha256:" + std::string(hash32), "7\n\n2\n" + std::string(path_a) + "\n" + path_b + "\n"));
    REQUIRE(reader.next(info).value());
    CHECK(info.line == 8);
    CHECK_FALSE(reader.next(info).value());
}

TEST_CASE("a bad line is named by its number, with what was expected") {
    CHECK(error_of("\n") == "read registration 'reg': line 1: '': expected a store path: it does not begin with /nix/store/");
    CHECK(error_of(entry(path_a, "abc")) ==
          "read registration 'reg': line 2: 'abc': expected a SHA-256 in base16, base 32 or base64");
    CHECK(error_of(entry(path_a, hash16, "-1\n\n0\n")) ==
          "read registration 'reg': line 3: '-1': expected the NAR's size in bytes");
    CHECK(error_of(entry(path_a, hash16, "1\n/bin/sh\n0\n")) ==
          "read registration 'reg': line 4: '/bin/sh': expected the deriver's store path or an empty line: it does not begin "
          "with /nix/store/");
    CHECK(error_of(entry(path_a, hash16, "1\n\nmany\n")) ==
          "read registration 'reg': line 5: 'many': expected the number of references");
    CHECK(error_of(entry(path_a, hash16, "1\n\n2\n" + std::string(path_b) + "\n")) ==
          "read registration 'reg': line 7: the text ends here: expected a reference");
    CHECK(error_of(entry(path_a, hash16, "1\n\n0")) ==
          "read registration 'reg': line 5: '0': expected a newline at the end of it: the text was cut");
}

TEST_CASE("a store path has a base 32 hash part and a name of few characters") {
    CHECK(mounts::store_path_fault(path_a).empty());
    CHECK(mounts::store_path_fault("/nix/store/9d572xnr5b0xyf6mfkn0ljdkflfxdi02") ==
          "after /nix/store/ come 32 characters, a dash and a name");
    CHECK(mounts::store_path_fault("/nix/store/9d572xnr5b0xyf6mfkn0ljdkflfxdie2-x") ==
          "its hash part has a character that is not in Nix's base 32");
    CHECK(mounts::store_path_fault("/nix/store/9d572xnr5b0xyf6mfkn0ljdkflfxdi02-x/y") ==
          "its name has a character that a store path cannot have");
}

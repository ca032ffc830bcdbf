#include <catch_amalgamated.hpp>
#include <cerrno>

#include "mounts/base/error.h"

TEST_CASE("an errno of file systems that musl does not know has words", "[errors]") {
    CHECK(base::errno_text(EUCLEAN).contains("EUCLEAN"));
    CHECK(base::errno_text(EBADMSG).contains("EBADMSG"));
    CHECK(base::errno_text(119) == "error 119");
    CHECK(base::errno_text(ENOENT) == "No such file or directory");
}

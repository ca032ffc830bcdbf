// As .toolchain/precompiled.h, for tests.
#include "../../.toolchain/precompiled.h"

#include <catch_amalgamated.hpp>

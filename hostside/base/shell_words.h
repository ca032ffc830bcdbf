// base::split_words under the names that it has here.
#pragma once

#include "mounts/base/shell_words.h"

namespace hostside {

using base::quote_word;
using base::quote_words;
using base::split_words;

}  // namespace hostside

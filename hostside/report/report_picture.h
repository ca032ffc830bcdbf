// Draws a boot's report as SVG, or as an HTML page with that picture. Both are self-contained: no scripts, nothing to load.
// Uses words and a palette that people with any color vision can distinguish (Okabe and Ito, "Color Universal Design"). Pure.
#pragma once

#include <string>

#include "hostside/report/boot_report.h"

namespace hostside {

std::string as_svg(const BootReport &report, const std::string &name);
std::string as_html(const BootReport &report, const std::string &name);

}  // namespace hostside

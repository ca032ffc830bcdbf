#include "hostside/report/report_picture.h"

#include <algorithm>
#include <array>
#include <format>

namespace hostside {

namespace {

constexpr int picture_width = 1000, label_width = 330, row_height = 20, top = 64, time_width = 130;
constexpr int plot_width = picture_width - label_width - time_width;
constexpr size_t most_rows = 500;
constexpr std::string_view failed_colour = "#d55e00";

// Escapes text for XML and HTML.
std::string escaped_text(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '&')
            result += "&amp;";
        else if (c == '<')
            result += "&lt;";
        else if (c == '>')
            result += "&gt;";
        else if (c == '"')
            result += "&quot;";
        else
            result += c;
    }
    return result;
}

// Limits the number of characters, not bytes.
std::string shortened(std::string_view text, size_t characters) {
    size_t at = 0, count = 0;
    for (; at < text.size(); ++at)
        if ((static_cast<unsigned char>(text[at]) & 0xc0) != 0x80 && count++ == characters) break;
    return std::string(text.substr(0, at)) + (at < text.size() ? "…" : "");
}

std::string_view colour(const BootReport &report, std::string_view phase) {
    constexpr std::array<std::string_view, 6> colours{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#f0e442"};
    const auto found = std::ranges::find(report.phases, phase, &ReportPhase::name);
    const auto index = static_cast<size_t>(found - report.phases.begin());
    return colours[index % colours.size()];
}

// Begins at stage 1's first step. The kernel's time before it is often by far the longest, so it is in the caption.
struct Scale {
    int64_t begin_us, whole_us;
    [[nodiscard]] double x(int64_t us) const {
        return label_width +
               static_cast<double>(us - begin_us) / static_cast<double>(std::max<int64_t>(whole_us, 1)) * plot_width;
    }
};

// A tick is 1, 2 or 5 times a power of ten, so that there are four to ten.
int64_t tick_us(int64_t whole_us) {
    int64_t tick = 1;
    for (const int64_t limit = std::max<int64_t>(whole_us / 10, 1); tick < limit;)
        for (const int64_t factor : {2, 5, 10})
            if (tick * factor >= limit || factor == 10) {
                tick *= factor;
                break;
            }
    return tick;
}

std::string tick_text(int64_t us) {
    constexpr double ms = 1e3, second = 1e6;
    const auto value = static_cast<double>(us);
    return us == 0 ? "0" : value < second ? std::format("{} ms", value / ms) : std::format("{} s", value / second);
}

std::string axis(const Scale &scale, int height) {
    std::string text;
    const int64_t tick = tick_us(scale.whole_us);
    for (int64_t at = 0; at <= scale.whole_us; at += tick)
        text += std::format(
            "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/><text class=\"tick\" x=\"{0:.1f}\" "
            "y=\"{3}\">{4}</text>\n",
            scale.x(scale.begin_us + at), top - 6, height - 8, top - 12, tick_text(at));
    return text;
}

int64_t begin_of(const BootReport &report) { return report.steps.empty() ? 0 : report.steps.front().start_us; }

struct Row {
    std::string label, title;
    int64_t start_us, end_us;
    std::string_view colour;
    std::string note{};  // a remark beside the time
};

std::string drawn(const Row &row, const Scale &scale, size_t index) {
    const int y = top + static_cast<int>(index) * row_height;
    const double from = scale.x(row.start_us), to = std::max(scale.x(row.end_us), from + 1.5);
    constexpr size_t label_characters = 42;
    return std::format(
        "<g><title>{}</title><text class=\"label\" x=\"{}\" y=\"{}\">{}</text><rect x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" "
        "height=\"{}\" fill=\"{}\"/><text class=\"time\" x=\"{:.1f}\" y=\"{}\">{}{}</text></g>\n",
        escaped_text(row.title), label_width - 8, y + 14, escaped_text(shortened(row.label, label_characters)), from, y + 3,
        to - from, row_height - 6, row.colour, to + 5, y + 14, spent(row.end_us - row.start_us), row.note);
}

std::vector<Row> rows_of(const BootReport &report) {
    std::vector<Row> rows;
    for (const auto &step : report.steps) {
        if (rows.size() == most_rows) break;
        const bool stuck = report.stuck() == &step;
        rows.push_back({step.phase + ": " + step.text, step.error.empty() ? step.text : step.text + ": " + step.error,
                        step.start_us, step.end_us, stuck ? failed_colour : colour(report, step.phase),
                        !stuck               ? ""
                        : step.error.empty() ? " never ended"
                                             : " failed"});
    }
    return rows;
}

constexpr std::string_view style = R"(text{font:12px system-ui,sans-serif;fill:#1a1a1a}.head{font-size:16px;font-weight:600}
.label{text-anchor:end}.tick{fill:#555;text-anchor:middle;font-size:11px}.time{font-size:11px}.grid{stroke:#ddd}.paper{fill:#fff}
@media(prefers-color-scheme:dark){text{fill:#eee}.tick{fill:#bbb}.grid{stroke:#444}.paper{fill:#1b1b1b}})";

std::string failed_step(const BootReport &report) {
    const ReportStep *step = report.stuck();
    if (step == nullptr) return "";
    return std::format("<p class=\"failed\"><strong>{}</strong> in {}: {}<br>{}</p>\n",
                       step->error.empty() ? "Never ended" : "Failed", escaped_text(step->phase), escaped_text(step->text),
                       escaped_text(step->error));
}

std::string step_table(const BootReport &report) {
    std::string text =
        "<table><caption>Steps, the longest first</caption><tr><th>time</th><th>from</th><th>phase</th><th>step</th></tr>\n";
    for (const auto *step : slowest(report, most_rows))
        text += std::format("<tr><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td>{}{}</td></tr>\n",
                            spent(step->took_us()), spent(step->start_us), escaped_text(step->phase), escaped_text(step->text),
                            step->error.empty() ? "" : " <strong>" + escaped_text(step->error) + "</strong>");
    return text + "</table>\n";
}

}  // namespace

std::string as_svg(const BootReport &report, const std::string &name) {
    const auto rows = rows_of(report);
    const Scale scale{begin_of(report), report.end_us - begin_of(report)};
    const int height = top + static_cast<int>(rows.size()) * row_height + 16;
    std::string text = std::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\">\n"
        "<title>{2}</title><style>{3}</style><rect class=\"paper\" width=\"{0}\" height=\"{1}\"/>\n"
        "<text class=\"head\" x=\"12\" y=\"24\">{2}</text>\n",
        picture_width, height, escaped_text(durations(report, name)), style);
    text += axis(scale, height);
    for (size_t i = 0; i < rows.size(); ++i) text += drawn(rows[i], scale, i);
    return text + "</svg>\n";
}

std::string as_html(const BootReport &report, const std::string &name) {
    return std::format(R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{}</title><style>
body{{font:14px system-ui,sans-serif;margin:1.5em auto;max-width:1000px;padding:0 1em;color:#1a1a1a;background:#fff}}
svg{{width:100%;height:auto}}table{{border-collapse:collapse;width:100%}}caption{{text-align:left;font-weight:600;padding:.5em 0}}
td,th{{text-align:left;padding:.2em .6em;border-bottom:1px solid #ddd;vertical-align:top;overflow-wrap:anywhere}}
.n{{text-align:right;white-space:nowrap}}td:nth-child(3){{white-space:nowrap}}.failed{{border-left:6px solid {};padding:.4em .8em}}
@media(prefers-color-scheme:dark){{body{{color:#eee;background:#1b1b1b}}td,th{{border-color:#444}}}}
</style></head><body>
{}{}{}</body></html>
)",
                       escaped_text(durations(report, name)), failed_colour, failed_step(report), as_svg(report, name),
                       step_table(report));
}

}  // namespace hostside

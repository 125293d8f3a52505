// SPDX-License-Identifier: MIT
// Expert load as a picture: one panel for each text, one row a layer, one column an expert.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "glyph.hpp"
#include "load_table.hpp"
#include "trace.hpp"

namespace example {

/// Writes the panels in two columns, with a scale and, for several texts, a panel of differences.
class heatmap_svg {
public:
    heatmap_svg(std::string const& path, description const& of,
                std::vector<scored_text> const& texts)
        : file_(open_to_write(path)), of_(of), top_(top_share(texts)),
          cell_(panel / static_cast<double>(of.experts)), numbers_(of.experts <= 20) {
        auto const count = std::ssize(texts) + (texts.size() > 1);
        index_t const rows = (count + 1) / 2;
        index_t const height = head + rows * (panel_height() + gap);
        put(text("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %td\" width=\"%d\" "
                 "height=\"%td\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" "
                 "fill=\"#1d2733\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
                 width, height, width, height));
        say(left, 44, 24, "Which experts read which text", "font-weight=\"bold\"");
        say(left, 70, 13.5,
            text("Each byte goes to %td of %td experts in every layer of ", of.kept, of.experts) +
                escaped(shortened(of.name)) + ". A cell is the share of a layer's slots",
            grey);
        say(left, 89, 13.5,
            text("that an expert took, in percent; equal shares would be %.3g %% each.",
                 100.0 / static_cast<double>(of.experts)),
            grey);
        scale();
        index_t place = 0;
        for (auto const& one : texts)
            draw(place++, one.name, text("%.3f bits per byte", one.bits),
                 [&](index_t l, index_t e) { return one.experts.share(l, e); });
        if (texts.size() > 1)
            draw(place, "between the texts", "largest − smallest share: specialists stand out",
                 [&](index_t l, index_t e) {
                     double least = 1, most = 0;
                     for (auto const& one : texts) {
                         least = std::min(least, one.experts.share(l, e));
                         most = std::max(most, one.experts.share(l, e));
                     }
                     return most - least;
                 });
        put("</svg>\n");
        close(file_, path);
    }

private:
    static constexpr int width = 1130, left = 40, head = 116, gap = 34, label = 60;
    static constexpr int panel = 448, row = 24, title = 30, axis = 36;
    static constexpr char const* grey = "fill=\"#5a6775\"";

    std::ofstream file_;
    description const& of_;
    double top_, cell_;
    bool numbers_;

    index_t panel_height() const { return title + of_.layers * row + axis; }
    void put(std::string const& part) { file_ << part; }
    static std::string escaped(std::string const& plain) {
        std::string safe;
        for (char const c : plain)
            safe += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
        return safe;
    }
    static std::string shortened(std::string const& name) {
        std::string const cut = fitted(name, 28);
        return cut.substr(0, cut.find_last_not_of(' ') + 1);
    }
    void say(double x, double y, double size, std::string const& what, char const* style = "") {
        put(text("<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.1f\" %s>", x, y, size, style) + what +
            "</text>\n");
    }
    static std::string hex(rgb c) { return text("#%02x%02x%02x", c.red, c.green, c.blue); }

    void scale() {
        constexpr int steps = 60, long_ = 240,
                      x = left + label + panel + gap + label + panel - long_;
        say(x, 40, 12, "share of a layer's slots", grey);
        for (int i = 0; i < steps; ++i)
            put(text("<rect x=\"%.1f\" y=\"48\" width=\"%.1f\" height=\"14\" fill=\"%s\"/>\n",
                     x + i * (1.0 * long_ / steps), 1.0 * long_ / steps + 0.4,
                     hex(heat((i + 0.5) / steps)).c_str()));
        double const even = 1.0 / static_cast<double>(of_.experts) / top_ * long_;
        put(text("<path d=\"M%.1f 45v20\" stroke=\"#1d2733\" stroke-width=\"1.5\"/>\n", x + even));
        say(x, 77, 11, "0 %", grey);
        say(x + even, 77, 11, "equal", "fill=\"#5a6775\" text-anchor=\"middle\"");
        say(x + long_, 77, 11, text("%.0f %%", 100 * top_), "fill=\"#5a6775\" text-anchor=\"end\"");
    }
    template <class Share>
    void draw(index_t place, std::string const& name, std::string const& note, Share&& share) {
        double const x = left + static_cast<double>(place % 2) * (label + panel + gap) + label;
        double const y = head + static_cast<double>(place / 2 * (panel_height() + gap)) + title;
        say(x, y - 10, 15, escaped(shortened(name)), "font-weight=\"bold\"");
        say(x + panel, y - 10, 12, note, "fill=\"#5a6775\" text-anchor=\"end\"");
        for (index_t l = 0; l < of_.layers; ++l) {
            double const down = y + static_cast<double>(l * row);
            say(x - 8, down + row / 2.0 + 4, 11, text("layer %td", l),
                "fill=\"#5a6775\" text-anchor=\"end\"");
            for (index_t e = 0; e < of_.experts; ++e)
                square(x + static_cast<double>(e) * cell_, down, l, e, share(l, e));
        }
        double const below = y + static_cast<double>(of_.layers * row) + 14;
        index_t const step = numbers_ ? 1 : std::max<index_t>(1, of_.experts / 16);
        for (index_t e = 0; e < of_.experts; e += step)
            say(x + (static_cast<double>(e) + 0.5) * cell_, below, 10, std::to_string(e),
                "fill=\"#5a6775\" text-anchor=\"middle\"");
        say(x + panel / 2.0, below + 16, 11, "expert", "fill=\"#5a6775\" text-anchor=\"middle\"");
    }
    void square(double x, double y, index_t layer, index_t expert, double share) {
        rgb const ground = heat(share / top_);
        put(text("<g><title>layer %td, expert %td: %.2f %%</title><rect x=\"%.2f\" y=\"%.2f\" "
                 "width=\"%.2f\" height=\"%d\" fill=\"%s\"/>",
                 layer, expert, 100 * share, x, y, cell_ - (numbers_ ? 1.0 : 0.0), row - 1,
                 hex(ground).c_str()));
        if (numbers_)
            put(text("<text x=\"%.2f\" y=\"%.2f\" font-size=\"10\" text-anchor=\"middle\" "
                     "fill=\"%s\">%.0f</text>",
                     x + cell_ / 2 - 0.5, y + row / 2.0 + 3, hex(legible_on(ground)).c_str(),
                     100 * share));
        put("</g>\n");
    }
};

} // namespace example

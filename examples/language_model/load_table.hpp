// SPDX-License-Identifier: MIT
// Expert load as a table that is also a heatmap.
#pragma once

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "console.hpp"
#include "glyph.hpp"
#include "score.hpp"

namespace example {

/// The largest share of all texts, rounded up to a whole 5 %: where the scale of colours ends.
inline double top_share(std::vector<scored_text> const& texts) {
    double most = 0;
    for (auto const& text : texts)
        for (index_t l = 0; l < text.experts.layers(); ++l)
            for (index_t e = 0; e < text.experts.experts(); ++e)
                most = std::max(most, text.experts.share(l, e));
    return std::max(0.05, std::ceil(most * 20 - 1e-9) / 20);
}

/// One cell: the share in percent on its colour, or beside its shade, or the shade alone.
inline std::string cell(console const& out, double share, double top, bool numbers) {
    constexpr char const* shades[] = {" ", "░", "▒", "▓", "█"};
    auto const shade = shades[std::min(4, static_cast<int>(share / top * 5))];
    std::string const number = numbers ? text("%2.0f", 100 * share) : "";
    if (out.colours()) return out.on_heat(share / top, numbers ? " " + number + " " : " ");
    return numbers ? shade + number + " " : shade;
}

/// For every text: one row a layer, one column an expert; more than 64 experts go on below.
inline void print_loads(console const& out, std::vector<scored_text> const& texts) {
    index_t const experts = texts[0].experts.experts();
    bool const numbers = experts <= 16;
    index_t const most = numbers ? 16 : 64;
    double const top = top_share(texts);
    for (auto const& one : texts)
        for (index_t first = 0; first < experts; first += most) {
            index_t const last = std::min(experts, first + most);
            std::string header;
            for (index_t e = first; e < last; ++e)
                if (numbers) header += text("%3td ", e);
                else if (e % 8 == 0) header += text("%-8td", e);
            std::printf("\n  %s  %s\n", out.bold(fitted(first == 0 ? one.name : "", 12)).c_str(),
                        out.dim(header).c_str());
            for (index_t l = 0; l < one.experts.layers(); ++l) {
                std::string row;
                for (index_t e = first; e < last; ++e)
                    row += cell(out, one.experts.share(l, e), top, numbers);
                std::printf("  %s  %s\n", out.dim(text("layer %-6td", l)).c_str(), row.c_str());
            }
        }
    std::string legend;
    constexpr int steps = 20;
    for (int i = 0; i < steps; ++i) {
        double const share = (i + 0.5) / steps * top;
        legend += cell(out, share, top, false);
    }
    std::printf("\n  %-12s  0 %% %s %.0f %%   equal shares would be %.3g %% each\n", "scale",
                legend.c_str(), 100 * top, 100.0 / static_cast<double>(experts));
}

/// How far the loads of two texts are apart, the mean over all pairs, by layer.
inline std::vector<double> mean_distances(std::vector<scored_text> const& texts) {
    std::vector<double> means;
    for (index_t l = 0; l < texts[0].experts.layers(); ++l) {
        double sum = 0;
        int pairs = 0;
        for (std::size_t a = 0; a < texts.size(); ++a)
            for (std::size_t b = a + 1; b < texts.size(); ++b, ++pairs)
                sum += distance(texts[a].experts, texts[b].experts, l);
        means.push_back(pairs > 0 ? sum / pairs : 0);
    }
    return means;
}

} // namespace example

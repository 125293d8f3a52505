// SPDX-License-Identifier: MIT
// How a text's slots spread over the experts of each layer.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "model.hpp"

namespace example {

/// Counts, per layer and expert, the bytes that were routed there.
class loads final : public listener {
public:
    loads() = default;
    explicit loads(description const& of)
        : layers_(of.layers), experts_(of.experts), kept_(of.kept),
          counts_(static_cast<std::size_t>(layers_ * experts_)) {}

    void routed(index_t layer, prytany::plan const& plan) override {
        for (index_t e = 0; e < experts_; ++e)
            counts_[at(layer, e)] += std::ssize(plan.tokens_of(e));
        if (layer == 0) bytes_ += plan.tokens();
    }
    index_t layers() const noexcept { return layers_; }
    index_t experts() const noexcept { return experts_; }
    /// The part of a layer's slots that an expert took; those of a layer sum to 1.
    double share(index_t layer, index_t expert) const {
        index_t const slots = std::max<index_t>(bytes_ * kept_, 1);
        return static_cast<double>(counts_[at(layer, expert)]) / static_cast<double>(slots);
    }

private:
    index_t layers_ = 0, experts_ = 0, kept_ = 0, bytes_ = 0;
    std::vector<index_t> counts_;

    std::size_t at(index_t layer, index_t expert) const noexcept {
        return static_cast<std::size_t>(layer * experts_ + expert);
    }
};

/// Half the sum of the differences of two loads in a layer: 0 if equal, 1 if no expert is shared.
inline double distance(loads const& a, loads const& b, index_t layer) {
    double sum = 0;
    for (index_t e = 0; e < a.experts(); ++e)
        sum += std::abs(a.share(layer, e) - b.share(layer, e));
    return sum / 2;
}

} // namespace example

// SPDX-License-Identifier: MIT
// Text from a prompt, and who wrote it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "model.hpp"
#include "progress.hpp"
#include "score.hpp"

namespace example {

/// Remembers the slots of every byte fed; takes its memory when made.
class routes final : public listener {
public:
    routes(description const& of, index_t bytes)
        : layers_(of.layers), kept_(of.kept),
          slots_(static_cast<std::size_t>(bytes * layers_ * kept_)) {}

    void routed(index_t layer, prytany::plan const& plan) override {
        for (index_t t = 0; t < plan.tokens(); ++t) {
            auto const slots = plan.slots_of(t);
            std::copy(slots.begin(), slots.end(), begin_of(fed_ + t, layer));
        }
        if (layer == layers_ - 1) fed_ += plan.tokens();
    }
    index_t layers() const noexcept { return layers_; }
    index_t bytes() const noexcept { return fed_; }
    std::span<prytany::slot const> of(index_t byte, index_t layer) const {
        auto const first = const_cast<routes*>(this)->begin_of(byte, layer);
        return {first, static_cast<std::size_t>(kept_)};
    }
    index_t strongest(index_t byte, index_t layer) const {
        auto const slots = of(byte, layer);
        return std::max_element(slots.begin(), slots.end(),
                                [](auto const& a, auto const& b) { return a.weight < b.weight; })
            ->expert;
    }

private:
    index_t layers_, kept_, fed_ = 0;
    std::vector<prytany::slot> slots_;

    prytany::slot* begin_of(index_t byte, index_t layer) {
        return slots_.data() + (byte * layers_ + layer) * kept_;
    }
};

/// Chooses the next byte: the most likely one at temperature 0, else by its probability.
class chooser {
public:
    chooser(double temperature, std::uint64_t seed) : temperature_(temperature), random_(seed) {}

    std::int32_t operator()(std::span<float const> logits) {
        auto const best = std::max_element(logits.begin(), logits.end());
        if (temperature_ == 0) return static_cast<std::int32_t>(best - logits.begin());
        std::array<double, byte_values> chances;
        double sum = 0;
        for (std::size_t i = 0; i < chances.size(); ++i)
            sum += chances[i] = std::exp(static_cast<double>(logits[i] - *best) / temperature_);
        double left = static_cast<double>(random_() >> 11) * 0x1p-53 * sum;
        for (std::size_t i = 0; i + 1 < chances.size(); ++i)
            if ((left -= chances[i]) < 0) return static_cast<std::int32_t>(i);
        return static_cast<std::int32_t>(best - logits.begin()); // rounding left nothing over
    }

private:
    double temperature_;
    std::mt19937_64 random_;
};

struct generation {
    std::vector<std::int32_t> prompt, written;
    routes who; ///< of prompt and text: byte i of both is written by the slots of byte i − 1
    std::string text() const { return {written.begin(), written.end()}; }
};

/// Feeds the prompt at once, then byte after byte; allocates nothing after the first.
///
/// Throws    prytany::error, if prompt and text have no room in the model's positions
inline generation generate(model& with, std::string const& prompt, index_t count, chooser choose) {
    index_t const most = with.about().positions, given = std::ssize(prompt);
    if (given >= most)
        throw prytany::error("--prompt",
                             "fewer bytes than the model's " + std::to_string(most) + " positions",
                             std::to_string(given));
    if (count > most - given)
        throw prytany::error("--tokens",
                             "at most " + std::to_string(most - given) + " after a prompt of " +
                                 std::to_string(given) + " bytes, in the model's " +
                                 std::to_string(most) + " positions",
                             std::to_string(count));
    generation done{bytes_of(prompt), {}, routes(with.about(), given + count)};
    done.written.reserve(static_cast<std::size_t>(count));
    std::array<float, byte_values> memory;
    prytany::matrix_view<float> const logits(memory.data(), 1, byte_values);
    progress bar("writing", count);

    with.reserve(given);
    with.restart();
    with.feed(done.prompt, logits, done.who);
    while (std::ssize(done.written) < count) {
        done.written.push_back(choose(memory));
        with.feed({&done.written.back(), 1}, logits, done.who); // the last one: to see its experts
        bar.advance();
    }
    return done;
}

} // namespace example

// SPDX-License-Identifier: MIT
#include "router/tokens.hpp"

#include <cctype>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "prytany/exec/sequential.hpp"
#include "prytany/family/qwen2_moe_decoder.hpp"
#include "prytany/io/checkpoint.hpp"

namespace bench {
namespace {

/// What layer 3 of the bundled model reads for the bytes of a text, and its router.
struct bundled_states {
    static constexpr index_t layer = 3, bytes = 2048, piece = 512, model = 128;
    std::vector<std::int32_t> ids;
    std::vector<float> rows, router;

    static bundled_states const& get() {
        static bundled_states const one;
        return one;
    }

private:
    bundled_states() : rows(static_cast<std::size_t>(bytes * model)) {
        std::filesystem::path const folder = PRYTANY_EXAMPLE_DATA "/bytes-moe-3m";
        using layer_type = family::qwen2_moe::layer<dense<float>{}>;
        auto const lm = family::qwen2_moe_decoder<dense<float>{}, layer_type>::load(
            io::checkpoint{folder.string()}, family::config{folder});
        std::ifstream text(folder / "validation/english.txt", std::ios::binary);
        for (char byte = 0; std::ssize(ids) < bytes && text.get(byte);)
            ids.push_back(static_cast<unsigned char>(byte));
        workspace ws;
        for (index_t from = 0; from < bytes; from += piece) { // each a text of its own
            typename std::remove_const_t<decltype(lm)>::state sequence(lm);
            std::vector<float> logits(256);
            watcher watch{this, from};
            lm.forward(std::span(ids).subspan(static_cast<std::size_t>(from), piece), sequence,
                       matrix_view<float>(logits.data(), 1, 256), ws, sequential{}, watch);
        }
        lm.layer(layer).for_each_tensor([&](auto const& t) {
            if (t.name.part != "router" || t.name.role != "weight") return;
            router.resize(static_cast<std::size_t>(t.rows * t.cols));
            t.unpack({router.data(), t.rows, t.cols});
        });
    }
    struct watcher {
        bundled_states* to;
        index_t from;
        void passed(step) const noexcept {}
        void routed(index_t i, routing const& r) {
            if (i != layer) return;
            for (index_t t = 0; t < r.in.tokens(); ++t)
                std::copy_n(r.in.rows.row(t), model, to->rows.data() + (from + t) * model);
        }
    };
};

/// Experts in the order in which Zipf's law, or chance, calls them; each once.
class callers {
public:
    callers(index_t experts, double exponent) {
        for (index_t r = 0; r < experts; ++r)
            shares_.push_back(std::pow(static_cast<double>(r + 1), -exponent));
    }
    std::vector<index_t> operator()(noise& random, index_t count) const {
        std::vector<double> left = shares_;
        std::vector<index_t> called;
        while (std::ssize(called) < count) {
            double total = 0;
            for (double const s : left) total += s;
            double at = (0.5 + 0.5 * double{random()}) * total;
            std::size_t e = 0;
            while (e + 1 < left.size() && (at -= left[e]) > 0) ++e;
            if (left[e] == 0) continue;
            left[e] = 0;
            called.push_back(static_cast<index_t>(e));
        }
        return called;
    }

private:
    std::vector<double> shares_;
};

} // namespace

std::vector<float> router_row(routed_size const& size, index_t expert) {
    if (!is_bundled(size))
        return weights(static_cast<std::uint32_t>(100 + expert), 1, size.model, false);
    float const* const row = bundled_states::get().router.data() + expert * size.model;
    return {row, row + size.model};
}

batches_of::batches_of(routed_size const& size, std::string const& kind, index_t tokens)
    : x(count(tokens) * tokens * size.model), map(tokens * tokens) {
    noise random(41);
    for (index_t t = 0; t < tokens; ++t) // a causal map that hears all alike
        for (index_t u = 0; u <= t; ++u) map[t * tokens + u] = 1 / static_cast<float>(t + 1);
    std::vector<std::vector<float>> rows;
    for (index_t e = 0; e < size.experts; ++e) rows.push_back(router_row(size, e));
    callers const call(size.experts, kind == "zipf" ? 1.2 : 0.0);
    for (index_t b = 0; b < count(tokens); ++b) {
        token_batch one;
        one.first = b * tokens;
        one.x = {x.data() + b * tokens * size.model, tokens, size.model};
        for (index_t t = 0; t < tokens; ++t) {
            float* const row = x.data() + (b * tokens + t) * size.model;
            auto const called = call(random, size.k);
            auto label = static_cast<std::int32_t>(called[0]);
            std::int32_t id = label * 100 + static_cast<std::int32_t>(t % 100);
            if (kind == "states") {
                auto const& from = bundled_states::get();
                auto const i = (b * tokens + t) % bundled_states::bytes;
                std::copy_n(from.rows.data() + i * size.model, size.model, row);
                id = from.ids[static_cast<std::size_t>(i)];
                label = id % static_cast<std::int32_t>(size.experts);
            } else {
                for (index_t c = 0; c < size.model; ++c) row[c] = kind == "k_hot" ? 0 : random();
                if (kind != "uniform")
                    for (index_t const e : called)
                        for (index_t c = 0; c < size.model; ++c)
                            row[c] +=
                                4 * rows[static_cast<std::size_t>(e)][static_cast<std::size_t>(c)];
            }
            one.labels.push_back(label);
            one.ids.push_back(id);
        }
        one.attention.push_back({map.data(), tokens, tokens});
        one.heads.push_back(one.x);
        all.push_back(std::move(one));
    }
}

} // namespace bench

// SPDX-License-Identifier: MIT
// Pictures of what each router does with the same tokens: router_pictures <model folder> <folder>
// The rows and logits are those of one layer of a trained model that reads a sentence byte by byte, as
// are the experts' rows of scorers; what only a wrapper has, and projections, are small random numbers.
// One SVG a router, as docs/routers/ shows.
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "prytany/core/philox.hpp"
#include "prytany/family/qwen2_moe_decoder.hpp"
#include "prytany/io/checkpoint.hpp"
#include "prytany/layer/merged.hpp"
#include "prytany/layer/option/capacity.hpp"
#include "prytany/layer/soft.hpp"
#include "prytany/prytany.hpp"
#include "prytany/router/attentive.hpp"
#include "prytany/router/balanced.hpp"
#include "prytany/router/dropped_second.hpp"
#include "prytany/router/every_expert.hpp"
#include "prytany/router/expert_choice.hpp"
#include "prytany/router/gshard_top_2.hpp"
#include "prytany/router/gumbel.hpp"
#include "prytany/router/hard_gate.hpp"
#include "prytany/router/hash_table.hpp"
#include "prytany/router/head_gate.hpp"
#include "prytany/router/label_gated.hpp"
#include "prytany/router/labelled.hpp"
#include "prytany/router/light_experts.hpp"
#include "prytany/router/masked.hpp"
#include "prytany/router/noisy.hpp"
#include "prytany/router/null_experts.hpp"
#include "prytany/router/perturbed.hpp"
#include "prytany/router/ranks.hpp"
#include "prytany/router/remoe.hpp"
#include "prytany/router/replayed.hpp"
#include "prytany/router/score/cosine.hpp"
#include "prytany/router/score/gate_residual.hpp"
#include "prytany/router/score/laplace.hpp"
#include "prytany/router/score/prototypes.hpp"
#include "prytany/router/score/x_moe.hpp"
#include "prytany/router/similar.hpp"
#include "prytany/router/sinkhorn.hpp"
#include "prytany/router/sparse_mixer.hpp"
#include "prytany/router/steered.hpp"
#include "prytany/router/switch_top_1.hpp"
#include "prytany/router/threshold.hpp"
#include "prytany/router/top_any.hpp"
#include "prytany/router/top_p.hpp"
#include "prytany/router/two_step.hpp"
#include "prytany/router/two_tier.hpp"
#include "prytany/router/uncertain.hpp"
#include "prytany/router/union_of_experts.hpp"
#include "prytany/router/whole_sequence.hpp"

using namespace prytany;

namespace {

constexpr std::string_view sentence = "The 3 ships came home: 12 crates of tea.";
constexpr index_t layer_shown = 3;

/// What a router is asked: everything that an input may say of the tokens of the sentence.
struct asked_tokens {
    std::vector<float> rows, logits;
    std::vector<float> before; // the logits of the layer before
    std::vector<float> router; // the trained router's rows
    index_t tokens = 0, model = 0, experts = 0;
    std::vector<std::int32_t> ids, labels;
    std::vector<float> map;
    matrix_view<float const> attention;

    seen view() const {
        seen in(input{matrix_view<float const>(rows.data(), tokens, model)});
        in.logits = {logits.data(), tokens, experts};
        in.ids = ids;
        in.labels = labels;
        in.attention = {&attention, 1};
        in.previous_logits = {before.data(), tokens, experts};
        in.seed = 1;
        return in;
    }
    shape size() const { return {.model = model, .hidden = 1, .experts = experts}; }
};

struct watcher {
    asked_tokens& to;
    void routed(index_t layer, routing const& r) {
        if (layer == layer_shown - 1)
            for (index_t t = 0; t < r.in.tokens(); ++t)
                to.before.insert(to.before.end(), r.logits.row(t), r.logits.row(t) + r.logits.cols);
        if (layer != layer_shown) return;
        to.tokens = r.in.tokens();
        to.model = r.in.rows.cols;
        to.experts = r.logits.cols;
        for (index_t t = 0; t < to.tokens; ++t) {
            to.rows.insert(to.rows.end(), r.in.rows.row(t), r.in.rows.row(t) + to.model);
            to.logits.insert(to.logits.end(), r.logits.row(t), r.logits.row(t) + to.experts);
        }
    }
    void passed(auto&&...) const {}
};

asked_tokens read_sentence(std::filesystem::path const& folder) {
    auto const lm =
        family::qwen2_moe_decoder<>::load(io::checkpoint{folder.string()}, family::config{folder});
    asked_tokens all;
    for (char const c : sentence) {
        all.ids.push_back(static_cast<unsigned char>(c));
        all.labels.push_back(c == ' ' ? 0 : c >= '0' && c <= '9' ? 1 : 2);
    }
    decltype(lm)::state sequence(lm);
    workspace ws;
    std::vector<float> out(sentence.size() * static_cast<std::size_t>(lm.sizes().vocabulary));
    auto const count = static_cast<index_t>(sentence.size());
    lm.forward(std::span<std::int32_t const>(all.ids), sequence,
               matrix_view<float>(out.data(), count, lm.sizes().vocabulary), ws, sequential{},
               watcher{all});
    lm.layer(layer_shown).for_each_tensor([&](auto const& t) {
        if (t.name.part != "router" || t.name.role != "weight") return;
        all.router.resize(static_cast<std::size_t>(t.rows * t.cols));
        t.unpack({all.router.data(), t.rows, t.cols});
    });
    for (index_t t = 0; t < count; ++t) // attention to the word so far
        for (index_t s = 0; s < count; ++s) all.map.push_back(0);
    for (index_t t = 0; t < count; ++t) {
        index_t first = t;
        while (first > 0 && sentence[static_cast<std::size_t>(first - 1)] != ' ') --first;
        for (index_t s = first; s <= t; ++s)
            all.map[static_cast<std::size_t>(t * count + s)] =
                1.0f / static_cast<float>(t - first + 1);
    }
    all.attention = {all.map.data(), count, count};
    return all;
}

std::string text(char const* format, auto... values) {
    std::array<char, 512> line{};
    std::snprintf(line.data(), line.size(), format, values...);
    return line.data();
}

/// One column a token, one row an expert; the darker, the heavier.
void draw(std::ostream& out, std::string const& title, plan const& chosen) {
    constexpr int cell = 20, left = 60, top = 54;
    index_t const experts = chosen.experts(), tokens = chosen.tokens();
    auto const width = left + static_cast<int>(tokens) * cell + 20;
    auto const height = top + static_cast<int>(experts) * cell + 48;
    out << text("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
                "height=\"%d\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" "
                "fill=\"#1d2733\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
                width, height, width, height);
    double most = 0;
    for (index_t t = 0; t < tokens; ++t)
        for (slot const s : chosen.slots_of(t)) most = std::max(most, std::abs(double{s.weight}));
    out << text("<text x=\"%d\" y=\"24\" font-size=\"16\" font-weight=\"bold\">", left) << title
        << "</text>\n";
    out << text("<text x=\"%d\" y=\"43\" font-size=\"12\" fill=\"#5a6775\">%.2f experts a token, "
                "largest weight %.2f</text>\n",
                left, static_cast<double>(chosen.first_of(experts)) / static_cast<double>(tokens),
                most);
    for (index_t e = 0; e < experts; ++e)
        out << text("<text x=\"%d\" y=\"%d\" font-size=\"11\" text-anchor=\"end\" "
                    "fill=\"#5a6775\">%s%d</text>\n",
                    left - 6, top + static_cast<int>(e) * cell + 14, e == 0 ? "expert " : "",
                    static_cast<int>(e));
    out << text("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#f3f5f8\"/>\n", left,
                top, static_cast<int>(tokens) * cell, static_cast<int>(experts) * cell);
    for (index_t t = 0; t < tokens; ++t) {
        int const x = left + static_cast<int>(t) * cell;
        for (slot const s : chosen.slots_of(t)) {
            int const y = top + s.expert * cell;
            double const share = most > 0 ? std::abs(double{s.weight}) / most : 0;
            char const* const hue = s.weight < 0 ? "#b5482f" : "#1f5fa8";
            if (s.tier == 0)
                out << text("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\" "
                            "fill-opacity=\"%.3f\"/>\n",
                            x + 1, y + 1, cell - 2, cell - 2, hue, 0.15 + 0.85 * share);
            else
                out << text("<rect x=\"%d.5\" y=\"%d.5\" width=\"%d\" height=\"%d\" fill=\"none\" "
                            "stroke=\"#8a97a5\"/>\n",
                            x + 3, y + 3, cell - 7, cell - 7);
        }
        char const c = sentence[static_cast<std::size_t>(t)];
        out << text("<text x=\"%d\" y=\"%d\" font-size=\"13\" text-anchor=\"middle\">%s</text>\n",
                    x + cell / 2, top + static_cast<int>(experts) * cell + 18,
                    c == ' ' ? "·" : std::string(1, c).c_str());
    }
    out << text(
        "<text x=\"%d\" y=\"%d\" font-size=\"11\" fill=\"#5a6775\">bytes that layer %d of the "
        "bundled model reads; framed cells are listed, not run</text>\n</svg>\n",
        left, top + static_cast<int>(experts) * cell + 38, static_cast<int>(layer_shown));
}

/// A number of a tensor that is not trained: what the titles say, else small and random.
float number_of(std::string_view role, index_t row, index_t col) {
    if (role == "pruned") return row % 2 == 0 ? 1.0f : 0.0f;
    if (role == "steering") return row == 1 ? -1.0f : row == 9 ? INFINITY : row == 7 ? 3.0f : 0.0f;
    if (role == "residual") return row == col ? 1.0f : 0.0f;
    if (role == "scale") return 20;
    if (role == "temperature") return 3;
    if (role == "bias" || role == "projection_bias") return 0;
    return 0.1f * draws(2, row, 99).normal(col);
}

class gallery {
public:
    gallery(asked_tokens const& asked, std::filesystem::path folder)
        : asked_(asked), folder_(std::move(folder)) {}

    /// Asks a router for the slots of the sentence and draws them to <name>.svg.
    template <auto Router>
    void show(std::string const& name, std::string const& title,
              params_of<kind_of<Router>> const& own = {}) const {
        show<Router>(name, title, own, asked_.view(), [](plan&) {});
    }
    /// The same with other logits; `change(plan)` may change what was chosen.
    template <auto Router, class Change>
    void show(std::string const& name, std::string const& title,
              params_of<kind_of<Router>> const& own, seen const& in, Change&& change) const {
        using R = kind_of<Router>;
        shape const size = asked_.size();
        check_router(Router, size, own);
        require_input(Router, in, size, own);
        weights_of<R> weights{};
        router_tensors(Router, weights, size, [&](auto const& t) { fill(t); });
        plan chosen;
        scratch_of<R> scratch{};
        laid_out const memory([&](arena& place) {
            chosen.lay_out(place, asked_.tokens, Router.slots(size, own), asked_.experts);
            lay_out_scratch(Router, scratch, place, size, asked_.tokens);
        });
        chosen.open();
        R::select(in, kit<Router>{own, weights, scratch}, chosen);
        change(chosen);
        chosen.close();
        save(name, title, chosen);
    }
    /// top_k of another scorer's logits.
    template <auto Scorer>
    void show_scorer(std::string const& name, std::string const& title) const {
        using S = kind_of<Scorer>;
        seen in = asked_.view();
        weights_of<S> weights{};
        Scorer.tensors(weights, asked_.size(), [&](auto const& t) { fill(t); });
        std::vector<float> logits(asked_.logits.size());
        matrix_view<float> const all(logits.data(), asked_.tokens, asked_.experts);
        nothing none;
        S::score(in, kit<Scorer>{{}, weights, none}, all);
        in.logits = all;
        show<top_k{.k = 4}>(name, title, {}, in, [](plan&) {});
    }
    /// Two experts a token, as many places as there are slots.
    template <capacity_rule Rule>
    void show_capacity(std::string const& name, std::string const& title) const {
        seen const in = asked_.view();
        show<top_k{.k = 2}>(name, title, {}, in, [&](plan& open) {
            capacity::scratch room;
            laid_out const memory([&](arena& place) {
                room.lay_out(place, asked_.tokens, open.most(), asked_.experts);
            });
            capacity{Rule}.apply(open, in, {}, room);
        });
    }
    /// The experts of the token before.
    void show_replayed(std::string const& name, std::string const& title) const {
        std::vector<index_t> offsets{0};
        std::vector<std::int32_t> experts;
        for (index_t t = 0; t < asked_.tokens; ++t) {
            std::array<std::uint64_t, 2> best{};
            kernel::best_of(asked_.view().logits.row(t > 0 ? t - 1 : 0), asked_.experts, 2,
                            best.data());
            for (auto const key : best)
                experts.push_back(static_cast<std::int32_t>(kernel::index_of(key)));
            offsets.push_back(std::ssize(experts));
        }
        forced_slots const recorded{offsets, experts};
        show<replayed{top_k{.k = 2}}>(name, title, {.plan = &recorded});
    }
    /// What every slot of a layer reads of every token; a slot an expert.
    void show_soft(std::string const& name, std::string const& title) const {
        using layer_type = soft<shape{}, ffn{swiglu}>;
        layer_type layer(asked_.size(), {.slots = 1});
        layer.for_each_tensor([&](auto const& t) { fill(t); });
        layer_type::scratch room{};
        plan read;
        laid_out const memory([&](arena& place) {
            layer.lay_out(room, place, asked_.tokens, 1);
            read.lay_out(place, asked_.tokens, asked_.experts, asked_.experts);
        });
        std::vector<float> out(asked_.rows.size());
        layer.run(room, asked_.view(), {out.data(), asked_.tokens, asked_.model}, sequential{});
        read.open();
        for (index_t t = 0; t < asked_.tokens; ++t)
            for (index_t s = 0; s < layer.slots(); ++s) read.put(t, s, room.dispatch.row(t)[s]);
        read.close();
        save(name, title, read);
    }
    /// The shares at which the experts of every segment are merged.
    void show_merged(std::string const& name, std::string const& title) const {
        merged<shape{}, linear{}, ffn{swiglu}> layer(asked_.size(), {.segment = 8});
        layer.for_each_tensor([&](auto const& t) { fill(t); });
        std::vector<float> out(asked_.rows.size());
        workspace ws;
        layer.forward(asked_.view(), {out.data(), asked_.tokens, asked_.model}, ws, sequential{},
                      [&](routing const& r) { save(name, title, r.plan); });
    }

private:
    /// Memory for what `lay_out` takes from an arena.
    struct laid_out {
        buffer<std::byte> memory;
        explicit laid_out(auto&& lay_out) {
            arena count;
            lay_out(count);
            memory = buffer<std::byte>(count.used());
            arena place(memory.data());
            lay_out(place);
        }
    };
    asked_tokens const& asked_;
    std::filesystem::path folder_;

    void save(std::string const& name, std::string const& title, plan const& chosen) const {
        std::ofstream file(folder_ / (name + ".svg"));
        draw(file, title, chosen);
        if (!file) throw error((folder_ / (name + ".svg")).string(), "a file to write", "none");
    }
    /// The trained router's row for an expert's row, projected where the scorer projects tokens.
    template <class Tensor>
    void fill(Tensor const& t) const {
        t.allocate();
        auto const role = t.name.role;
        bool const trained = t.name.part == "router" &&
                             (role == "weight" || role == "prototypes" || role == "slots");
        std::vector<float> row(static_cast<std::size_t>(t.cols));
        for (index_t r = 0; r < t.rows; ++r) {
            float const* const own = asked_.router.data() + (trained ? r * asked_.model : 0);
            for (index_t c = 0; c < t.cols; ++c) {
                float& x = row[static_cast<std::size_t>(c)] = 0;
                if (!trained) x = number_of(role, r, c);
                else if (t.cols == asked_.model) x = own[c];
                else
                    for (index_t i = 0; i < asked_.model; ++i)
                        x += number_of("projection", c, i) * own[i];
            }
            t.pack_row(r, row);
        }
    }
};

} // namespace

int main(int argc, char** argv) try {
    if (argc != 3) {
        std::cerr << "usage: router_pictures <model folder> <folder>\n";
        return 2;
    }
    auto const asked = read_sentence(argv[1]);
    gallery const all(asked, argv[2]);
    constexpr top_k two{.k = 2};
    all.show<top_k{.k = 4}>("top_k", "top_k{.k = 4}");
    all.show<top_p{}>("top_p", "top_p{}, p = 0.4");
    all.show<threshold{}>("threshold", "threshold{}, t = 0.9");
    all.show<switch_top_1{}>("switch_top_1", "switch_top_1{}");
    all.show<remoe{}>("remoe", "remoe{}");
    all.show<every_expert{}>("every_expert", "every_expert{}");
    all.show<gshard_top_2{}>("gshard_top_2", "gshard_top_2{}, training", {.training = true});
    all.show<sparse_mixer{}>("sparse_mixer", "sparse_mixer{}");
    all.show<noisy{two}>("noisy", "noisy{top_k{.k = 2}}, training", {.training = true});
    all.show<perturbed{two}>("perturbed", "perturbed{top_k{.k = 2}}, training",
                             {.training = true, .sigma = 16});
    all.show<gumbel{two}>("gumbel", "gumbel{top_k{.k = 2}}, training", {.training = true});
    all.show<hash_table{}>("hash_table", "hash_table{}", {.vocabulary = 256});
    all.show<labelled{}>("labelled", "labelled{}: space, digit, other");
    all.show<label_gated{3, two}>("label_gated",
                                  "label_gated{3, top_k{.k = 2}}: space, digit, other");
    all.show<expert_choice{}>("expert_choice", "expert_choice{}, factor 2");
    all.show<balanced{}>("balanced", "balanced{}, training", {.training = true});
    all.show<sinkhorn{two}>("sinkhorn", "sinkhorn{top_k{.k = 2}}, training", {.training = true});
    all.show<null_experts{.nulls = 8, .k = 4}>("null_experts", "null_experts{.nulls = 8, .k = 4}");
    all.show<light_experts{top_k{.k = 4}}>("light_experts", "light_experts{top_k{.k = 4}}",
                                           {.zeros = 1, .copies = 1, .constants = 1});
    all.show<union_of_experts{.k = 4}>("union_of_experts", "union_of_experts{.k = 4}");
    all.show<whole_sequence{top_k{.k = 4}}>("whole_sequence", "whole_sequence{top_k{.k = 4}}");
    all.show<masked{top_k{.k = 4}}>("masked", "masked{top_k{.k = 4}}: even experts are pruned");
    all.show<steered{top_k{.k = 4}}>("steered", "steered{top_k{.k = 4}}: 1 off, 9 on, 7 times 3");
    all.show<ranks{}>("ranks", "ranks{}: the second and third", {.count = 2, .list = {1, 2}});
    all.show<top_any{top_k{.k = 4}}>("top_any", "top_any{top_k{.k = 4}}");
    all.show<dropped_second{two}>("dropped_second", "dropped_second{top_k{.k = 2}}, beta = 0.5");
    all.show<two_tier{top_k{.k = 4}}>("two_tier", "two_tier{top_k{.k = 4}}: one is strong",
                                      {.full = 1});
    all.show<two_step{top_k{.k = 2}}>("two_step",
                                      "two_step{top_k{.k = 2}}: spaces are unconditional");
    all.show<similar{two}>("similar", "similar{top_k{.k = 2}}");
    all.show<attentive{two}>("attentive", "attentive{top_k{.k = 2}}: attention to the word so far");
    all.show<hard_gate{}>("hard_gate", "hard_gate{}");
    all.show<head_gate{.shared = 4, .k = 4}>("head_gate", "head_gate{.shared = 4, .k = 4}");
    all.show<biased{two}>("biased", "biased{top_k{.k = 2}}");
    all.show<uncertain{.k = 4}>("uncertain", "uncertain{.k = 4}: five passes with dropout",
                                {.sampled = true});
    all.show_replayed("replayed", "replayed{top_k{.k = 2}}: the experts of the byte before");
    all.show_capacity<capacity_rule::sequential>(
        "capacity_sequential", "top_k{.k = 2}, capacity{capacity_rule::sequential}");
    all.show_capacity<capacity_rule::batch_prioritised>(
        "capacity_batch_prioritised", "top_k{.k = 2}, capacity{capacity_rule::batch_prioritised}");
    all.show_soft("soft", "soft, a slot an expert: what each slot reads (D)");
    all.show_merged("merged", "merged, segments of 8 bytes: the shares p");
    all.show_scorer<cosine{}>("scorer_cosine", "scored{cosine{}, top_k{.k = 4}}");
    all.show_scorer<x_moe{}>("scorer_x_moe", "scored{x_moe{}, top_k{.k = 4}}");
    all.show_scorer<laplace{}>("scorer_laplace", "scored{laplace{}, top_k{.k = 4}}");
    all.show_scorer<prototypes{}>("scorer_prototypes", "scored{prototypes{}, top_k{.k = 4}}");
    all.show_scorer<gate_residual{linear{}}>(
        "gate_residual", "scored{gate_residual{linear{}}, top_k{.k = 4}}, G = 1");
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}

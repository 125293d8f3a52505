// SPDX-License-Identifier: MIT
// What the tests of families share: blocks that other software ran, and checkpoints made here.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "conformance/numbers.hpp"
#include "io/files.hpp"
#include "io/memory.hpp"
#include "prytany/family/config.hpp"
#include "prytany/io/safetensors.hpp"
#include "prytany/layer/concept.hpp"
#include "support/catch.hpp"

namespace golden {

using namespace prytany;
using nlohmann::json;
using numbers::at, numbers::rows;

/// A folder of tests/golden.
struct folder {
    std::filesystem::path path;
    family::config config;
    io::safetensors source, expected;
    index_t layer;

    explicit folder(std::string const& name)
        : path(std::filesystem::path(PRYTANY_TEST_DATA) / name), config(path),
          source((path / "model.safetensors").string()),
          expected((path / "expected.safetensors").string()),
          layer(std::stoll(source.tensors()[0].name.substr(std::string("model.layers.").size()))) {}

    rows get(char const* name) const {
        io::stored const& s = *expected.find(name);
        rows some(s.dims[0], s.dims[1]);
        expected.read(s, 0, some.all);
        return some;
    }
    twin::row output_f64() const {
        io::stored const& s = *expected.find("output_f64");
        twin::row all(at(s.count()));
        expected.read_bytes(s, 0, std::as_writable_bytes(std::span(all)));
        return all;
    }
};

/// The slots of one token with experts ascending, and the logits they come from.
struct decisions {
    numbers::lists slots;
    std::vector<float> logits;
};
template <class Layer>
std::vector<float> run(Layer const& layer, rows const& x, decisions& made) {
    rows y(x.count, x.cols, std::nanf(""));
    workspace ws;
    layer.forward(x.view(), y.view(), ws, sequential{}, [&](routing const& r) {
        made.slots = numbers::slots_of(r.plan);
        made.logits.clear();
        for (index_t t = 0; t < r.logits.rows; ++t)
            made.logits.insert(made.logits.end(), r.logits.row(t), r.logits.row(t) + r.logits.cols);
    });
    for (auto& own : made.slots)
        std::sort(own.begin(), own.end(), [](auto a, auto b) { return a.expert < b.expert; });
    return y.all;
}

/// How far a block is off; printed, so that a run shows the figures.
struct figures {
    double logits = 0, weights = 0, nmse = 0;
};
template <class Layer>
figures agrees(folder const& one, Layer const& layer) {
    decisions made;
    auto const y = run(layer, one.get("input"), made);
    auto const ids = one.get("ids"), weights = one.get("weights");
    figures far;
    REQUIRE(made.slots.size() == at(ids.count));
    index_t others = 0;
    for (index_t t = 0; t < ids.count; ++t) {
        auto const& own = made.slots[at(t)];
        REQUIRE(own.size() == at(ids.cols));
        for (index_t j = 0; j < ids.cols; ++j) {
            others += static_cast<float>(own[at(j)].expert) != ids.view().row(t)[j];
            double const wanted = static_cast<double>(weights.view().row(t)[j]);
            double const off = std::abs(static_cast<double>(own[at(j)].weight) - wanted);
            far.weights = std::max(far.weights, off / std::max(1.0, std::abs(wanted)));
        }
    }
    auto const logits = one.get("router_logits");
    REQUIRE(made.logits.size() == logits.all.size());
    for (std::size_t i = 0; i < logits.all.size(); ++i)
        far.logits =
            std::max(far.logits, static_cast<double>(std::abs(made.logits[i] - logits.all[i])));
    far.nmse = twin::nmse(y, one.output_f64());
    UNSCOPED_INFO(one.path.filename() << ": logits " << far.logits << ", weights " << far.weights
                                      << ", NMSE " << far.nmse);
    CHECK(others == 0);
    CHECK(far.logits <= 4e-6);
    CHECK(far.weights <= 2e-6);
    CHECK(far.nmse <= 1e-12);
    return far;
}

/// Two layers that do the same to the last bit.
template <class A, class B>
void same(folder const& one, A const& a, B const& b) {
    decisions of_a, of_b;
    auto const x = one.get("input");
    CHECK(numbers::same_bits(run(a, x, of_a), run(b, x, of_b)));
    CHECK(numbers::same_slots(of_a.slots, of_b.slots));
}

/// What `make` says of a config in which some values are others.
template <class Family>
std::string refused(json values, json const& changes) {
    for (auto const& [key, value] : changes.items()) values[key] = value;
    return files::message([&] { (void)Family::make(family::config(values, "c")); });
}
/// The same without a key.
template <class Family>
std::string without(json values, char const* key) {
    values.erase(key);
    return files::message([&] { (void)Family::make(family::config(values, "c")); });
}
/// What all families refuse; `hidden` is the key of an expert's width, `experts` that of their count.
template <class Family>
void refuses_what_no_family_runs(json const& good, char const* hidden, char const* experts) {
    CHECK(refused<Family>(good, json::object()).empty());
    for (char const* const key : {"hidden_size", hidden, "num_experts_per_tok"}) {
        std::string const own = "c: " + std::string(key);
        CHECK(without<Family>(good, key) == own + ": expected an integer from 0 on, got nothing");
        CHECK(refused<Family>(good, {{key, nullptr}}) ==
              own + ": expected an integer from 0 on, got nothing");
        CHECK(refused<Family>(good, {{key, -1}}) ==
              own + ": expected an integer from 0 on, got -1");
        CHECK(refused<Family>(good, {{key, 2.0}}) ==
              own + ": expected an integer from 0 on, got 2.0");
        CHECK(refused<Family>(good, {{key, "2"}}) ==
              own + ": expected an integer from 0 on, got \"2\"");
        CHECK(refused<Family>(good, {{key, json::array({2})}}) ==
              own + ": expected an integer from 0 on, got an array");
        CHECK(!refused<Family>(good, {{key, 0}}).empty());
        CHECK(!refused<Family>(good, {{key, index_t{1} << 40}}).empty());
    }
    auto const n = good.at(experts).get<index_t>();
    CHECK(refused<Family>(good, {{"num_experts_per_tok", n + 1}})
              .find("got " + std::to_string(n + 1)) != std::string::npos);
    CHECK(without<Family>(good, experts) ==
          "c: expected num_experts, num_local_experts or n_routed_experts, got none of them");
    CHECK(refused<Family>(good, {{experts, 0}}) == "shape.experts: expected at least 1, got 0");
    CHECK(refused<Family>(good, {{experts, true}}) ==
          "c: " + std::string(experts) + ": expected an integer from 0 on, got true");
    CHECK(refused<Family>(good, {{"hidden_act", "gelu"}}) ==
          "c: hidden_act: expected silu, got \"gelu\"");
    CHECK(refused<Family>(good, {{"hidden_act", 3}}) == "c: hidden_act: expected a text, got 3");
    CHECK(without<Family>(good, "hidden_act").empty());
}

/// A checkpoint of one layer with random numbers, and the same numbers for the twin.
struct written {
    files::memory source;
    twin::moe_weights weights;
    twin::row correction{};
    std::uint64_t seed = 100;

    twin::matrix matrix(std::string const& name, index_t r, index_t c, double scale = 1) {
        auto m = twin::normal(at(r), at(c), ++seed, scale / std::sqrt(static_cast<double>(c)));
        source.put(name, {r, c}, m.all);
        return m;
    }
    twin::row vector(std::string const& name, index_t count, double scale) {
        auto v = twin::normal(at(count), ++seed, scale);
        source.put(name, {count}, v);
        return v;
    }
    /// An expert with one tensor for each matrix.
    twin::ffn_weights ffn(std::string const& stem, index_t model, index_t hidden,
                          std::vector<std::string> const& names = {"gate_proj", "up_proj",
                                                                   "down_proj"}) {
        twin::ffn_weights w;
        w.gate = matrix(stem + names[0] + ".weight", hidden, model);
        w.up = matrix(stem + names[1] + ".weight", hidden, model);
        w.down = matrix(stem + names[2] + ".weight", model, hidden);
        return w;
    }
    void experts(std::string const& stem, index_t count, index_t model, index_t hidden,
                 std::vector<std::string> const& names = {"gate_proj", "up_proj", "down_proj"}) {
        for (index_t e = 0; e < count; ++e)
            weights.experts.push_back(
                ffn(stem + "experts." + std::to_string(e) + ".", model, hidden, names));
    }
};

/// Runs a loaded layer against the twin on the numbers that were written. Where the twin's scores are
/// too near to each other to tell, it takes the layer's experts.
template <class Layer>
void against_twin(Layer const& layer, written const& from, twin::routing_rule rule,
                  twin::activation const& act = twin::gated(twin::silu)) {
    rule.bias = from.correction;
    index_t const tokens = 21;
    auto const x = rows::normal(tokens, layer.sizes().model, 9);
    decisions made;
    auto const got = run(layer, x, made);
    twin::row wanted;
    double worst = 0;
    index_t near = 0;
    for (index_t t = 0; t < tokens; ++t) {
        auto const in = twin::doubles(x.row_of(t));
        auto const logits = twin::logits_of(in, from.weights);
        double margin = 0;
        auto chosen = twin::choose(logits, rule, &margin);
        std::vector<std::size_t> taken;
        for (slot const s : made.slots[at(t)]) taken.push_back(at(s.expert));
        std::sort(chosen.begin(), chosen.end());
        if (margin < 1e-5) {
            ++near;
            chosen = taken;
        }
        REQUIRE(taken == chosen);
        auto const slots = twin::weigh(logits, rule, chosen);
        for (std::size_t j = 0; j < slots.size(); ++j)
            worst = std::max(worst, std::abs(static_cast<double>(made.slots[at(t)][j].weight) -
                                             slots[j].weight) /
                                        std::max(1.0, std::abs(slots[j].weight)));
        auto const y = twin::moe(in, from.weights, slots, act);
        wanted.insert(wanted.end(), y.begin(), y.end());
    }
    CHECK(near <= 2);
    CHECK(worst <= 2e-6);
    CHECK(twin::nmse(got, wanted) <= 1e-12);
}

} // namespace golden

// SPDX-License-Identifier: MIT
// Numbers for the weights of a part or a layer, the same numbers for its twin, and what runs it.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "prytany/core/buffer.hpp"
#include "prytany/layer/concept.hpp"
#include "prytany/router/concept.hpp"
#include "twin/moe.hpp"

namespace numbers {

using namespace prytany;

inline std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

template <class T>
bool same_bits(T const& a, T const& b) {
    return a.size() == b.size() &&
           (a.size() == 0 || std::memcmp(a.data(), b.data(), a.size() * sizeof(*a.data())) == 0);
}

/// Rows that own their numbers.
struct rows {
    index_t count = 0, cols = 0;
    std::vector<float> all;

    rows(index_t row_count, index_t col_count, float filling = 0)
        : count(row_count), cols(col_count), all(at(row_count * col_count), filling) {}
    static rows normal(index_t row_count, index_t col_count, std::uint64_t seed, double scale = 1) {
        rows some(row_count, col_count);
        some.all = twin::floats(twin::normal(some.all.size(), seed, scale));
        return some;
    }
    matrix_view<float> view() { return {all.data(), count, cols}; }
    matrix_view<float const> view() const { return {all.data(), count, cols}; }
    float* row(index_t r) { return all.data() + r * cols; }
    std::vector<float> row_of(index_t r) const {
        return {all.begin() + r * cols, all.begin() + (r + 1) * cols};
    }
    rows part(index_t first, index_t length) const {
        rows some(length, cols);
        std::copy_n(all.begin() + first * cols, length * cols, some.all.begin());
        return some;
    }
};

/// Fills one tensor: matrices with normal numbers over √cols, vectors with a tenth of them.
template <class Tensor>
void fill_tensor(Tensor const& t, std::uint64_t seed, double scale = 1) {
    double const size = t.vector ? 0.1 : 1 / std::sqrt(static_cast<double>(t.cols));
    t.pack(rows::normal(t.rows, t.cols, seed, scale * size).view());
}
template <class Layer>
void fill(Layer& layer, std::uint64_t seed = 1) {
    layer.for_each_tensor([&](auto const& t) { fill_tensor(t, ++seed * 7919); });
}
template <class Tensor>
void fill_with(Tensor const& t, float value) {
    t.pack(rows(t.rows, t.cols, value).view());
}

/// What a tensor holds, as it is stored.
template <class Tensor>
twin::matrix stored(Tensor const& t) {
    rows held(t.rows, t.cols);
    t.unpack(held.view());
    twin::matrix all(at(t.rows), at(t.cols));
    all.all = twin::doubles(held.all);
    return all;
}
inline void put(twin::ffn_weights& w, std::string_view role, twin::matrix m) {
    if (role == "gate") w.gate = std::move(m);
    else if (role == "up") w.up = std::move(m);
    else if (role == "down") w.down = std::move(m);
    else if (role == "gate_bias") w.gate_bias = std::move(m.all);
    else if (role == "up_bias") w.up_bias = std::move(m.all);
    else if (role == "down_bias") w.down_bias = std::move(m.all);
}
/// The same layer for the twin, on the weights as they are stored, and the correction of a router.
template <class Layer>
twin::moe_weights twin_of(Layer const& layer, twin::row* correction = nullptr) {
    twin::moe_weights w;
    w.experts.resize(at(layer.sizes().experts));
    layer.for_each_tensor([&](auto const& t) {
        auto const& name = t.name;
        if (name.part == "expert") put(w.experts[at(name.expert)], name.role, stored(t));
        else if (name.part == "shared" && name.role == "weight") w.shared_gate = stored(t).all;
        else if (name.part == "shared") put(w.shared, name.role, stored(t));
        else if (name.role == "weight") w.router = stored(t);
        else if (name.role == "bias") w.router_bias = stored(t).all;
        else if (correction != nullptr) *correction = stored(t).all;
    });
    return w;
}

template <class Layer, class Executor>
std::vector<float> run(Layer const& layer, rows const& x, workspace& ws, Executor&& pool,
                       std::span<std::uint8_t const> mask = {}) {
    rows y(x.count, x.cols, std::nanf(""));
    layer.forward({x.view(), mask}, y.view(), ws, pool);
    return y.all;
}
template <class Layer>
std::vector<float> run(Layer const& layer, rows const& x, std::span<std::uint8_t const> mask = {}) {
    workspace ws;
    return run(layer, x, ws, sequential{}, mask);
}

/// All slots of a plan, copied.
using lists = std::vector<std::vector<slot>>;
inline lists slots_of(prytany::plan const& plan) {
    lists all;
    for (index_t t = 0; t < plan.tokens(); ++t) {
        auto const own = plan.slots_of(t);
        all.emplace_back(own.begin(), own.end());
    }
    return all;
}
/// Equal to the last bit, NaN included.
inline bool same_slots(lists const& a, lists const& b) {
    if (a.size() != b.size()) return false;
    for (std::size_t t = 0; t < a.size(); ++t)
        if (!same_bits(a[t], b[t])) return false;
    return true;
}

/// A router by itself, with soiled memory for its plans.
template <auto Router>
class asked {
public:
    using R = kind_of<Router>;
    params_of<R> params;
    weights_of<R> weights{};
    shape size;

    asked(index_t experts, index_t tokens, params_of<R> const& own = {}, index_t model = 1)
        : params(own), size{.model = model, .hidden = 1, .experts = experts}, tokens_(tokens) {
        check_router(Router, size, params);
        router_tensors(Router, weights, size, [](auto const& t) { t.allocate(); });
        arena count;
        lay_out(count, plan_, scratch_, tokens_);
        memory_ = buffer<std::byte>(count.used());
    }
    index_t most() const { return Router.slots(size, params); }

    /// The closed plan of these logits; everything it points to is soiled before.
    prytany::plan const& operator()(seen const& in) {
        for (index_t i = 0; i < memory_.size(); ++i) memory_[i] = std::byte{0xa5};
        arena memory(memory_.data());
        lay_out(memory, plan_, scratch_, in.tokens());
        plan_.open();
        R::select(in, kit<Router>{params, weights, scratch_}, plan_);
        plan_.close();
        return plan_;
    }
    prytany::plan const& operator()(matrix_view<float const> logits,
                                    std::span<float const> bias = {}) {
        seen in{
            input{logits}}; // the rows of a token are its logits: what routers without scores see
        in.logits = logits;
        in.bias = bias;
        return (*this)(in);
    }

private:
    index_t tokens_;
    buffer<std::byte> memory_;
    prytany::plan plan_;
    scratch_of<R> scratch_{};

    void lay_out(arena& memory, prytany::plan& plan, scratch_of<R>& scratch, index_t tokens) {
        plan.lay_out(memory, tokens, most(), size.experts);
        lay_out_scratch(Router, scratch, memory, size, tokens);
    }
};

} // namespace numbers

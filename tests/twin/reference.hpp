// SPDX-License-Identifier: MIT
// Scalar references in double precision, one formula a function; nothing of the library is used.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <vector>

namespace twin {

using row = std::vector<double>;

/// A row-major matrix that owns its numbers.
struct matrix {
    std::size_t rows = 0, cols = 0;
    row all;

    matrix() = default;
    matrix(std::size_t row_count, std::size_t col_count)
        : rows(row_count), cols(col_count), all(row_count * col_count) {}

    double& operator()(std::size_t r, std::size_t c) { return all[r * cols + c]; }
    double operator()(std::size_t r, std::size_t c) const { return all[r * cols + c]; }
    row row_of(std::size_t r) const {
        row one(cols);
        for (std::size_t c = 0; c < cols; ++c) one[c] = (*this)(r, c);
        return one;
    }
    void set_row(std::size_t r, row const& from) {
        for (std::size_t c = 0; c < cols; ++c) (*this)(r, c) = from.at(c);
    }
};

// ---- numbers to test with: every one is exactly a float ------------------------------------------

inline std::vector<float> floats(row const& from) {
    std::vector<float> to;
    for (double const x : from) to.push_back(static_cast<float>(x));
    return to;
}
inline row doubles(std::vector<float> const& from) { return {from.begin(), from.end()}; }
inline row doubles(float const* from, std::size_t count) { return {from, from + count}; }

/// Normal numbers, rounded to float; the same seed gives the same numbers on every machine.
inline row normal(std::size_t count, std::uint64_t seed, double scale = 1) {
    std::mt19937_64 engine(seed * 0x9e3779b97f4a7c15u + 1);
    auto const uniform = [&] { return (static_cast<double>(engine() >> 11) + 0.5) * 0x1p-53; };
    row all;
    while (all.size() < count) { // Box and Muller
        double const radius = std::sqrt(-2 * std::log(uniform())), angle = 2 * M_PI * uniform();
        all.push_back(static_cast<float>(scale * radius * std::cos(angle)));
        all.push_back(static_cast<float>(scale * radius * std::sin(angle)));
    }
    all.resize(count);
    return all;
}
inline matrix normal(std::size_t rows, std::size_t cols, std::uint64_t seed, double scale) {
    matrix all(rows, cols);
    all.all = normal(rows * cols, seed, scale);
    return all;
}

// ---- how far off -----------------------------------------------------------------------------------

/// Σ (got - wanted)² / Σ wanted²; NaN in either gives infinity, so that no comparison passes by it.
template <class A, class B>
double nmse(A const& got, B const& wanted) {
    double error = 0, power = 0;
    if (got.size() != wanted.size()) return std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        double const d = static_cast<double>(got[i]) - static_cast<double>(wanted[i]);
        error += d * d;
        power += static_cast<double>(wanted[i]) * static_cast<double>(wanted[i]);
    }
    if (!std::isfinite(error) || !std::isfinite(power))
        return std::numeric_limits<double>::infinity();
    if (power == 0) return error == 0 ? 0 : std::numeric_limits<double>::infinity();
    return error / power;
}

/// The largest |got - wanted| over the root mean square of what was wanted.
template <class A, class B>
double worst_over_rms(A const& got, B const& wanted) {
    double worst = 0, power = 0;
    if (got.size() != wanted.size()) return std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        double const d = static_cast<double>(got[i]) - static_cast<double>(wanted[i]);
        if (!std::isfinite(d)) return std::numeric_limits<double>::infinity();
        worst = std::max(worst, std::abs(d));
        power += static_cast<double>(wanted[i]) * static_cast<double>(wanted[i]);
    }
    if (worst == 0) return 0;
    return worst / std::sqrt(power / static_cast<double>(wanted.size()));
}

/// |got - wanted| in units of the last place of the float nearest to what was wanted.
inline double ulps(float got, double wanted) {
    auto const nearest = static_cast<float>(wanted);
    if (std::isnan(wanted) || std::isnan(got))
        return std::isnan(wanted) && std::isnan(got) ? 0 : std::numeric_limits<double>::infinity();
    if (std::isinf(nearest) || std::isinf(got))
        return got == nearest ? 0 : std::numeric_limits<double>::infinity();
    int exponent = 0;
    std::frexp(nearest, &exponent);
    double const unit = std::ldexp(1.0, std::max(exponent - 24, -149));
    return std::abs(static_cast<double>(got) - wanted) / unit;
}

// ---- products --------------------------------------------------------------------------------------

/// x · Wᵀ, W [outputs, inputs].
inline matrix gemm(matrix const& x, matrix const& w) {
    matrix y(x.rows, w.rows);
    for (std::size_t r = 0; r < x.rows; ++r)
        for (std::size_t o = 0; o < w.rows; ++o)
            for (std::size_t k = 0; k < x.cols; ++k) y(r, o) += x(r, k) * w(o, k);
    return y;
}
/// x · Wᵀ + b, an empty b adds nothing.
inline matrix gemm(matrix const& x, matrix const& w, row const& b) {
    matrix y = gemm(x, w);
    if (b.empty()) return y;
    for (std::size_t r = 0; r < y.rows; ++r)
        for (std::size_t o = 0; o < y.cols; ++o) y(r, o) += b[o];
    return y;
}
inline double dot(row const& x, row const& y) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
    return sum;
}

// ---- functions of one number -----------------------------------------------------------------------

inline double logistic(double x) { return 1 / (1 + std::exp(-x)); }
inline double silu(double x) { return x * logistic(x); }
inline double gelu(double x) { return x * 0.5 * std::erfc(-x / std::sqrt(2.0)); }
inline double gelu_tanh(double x) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
inline double relu(double x) { return x > 0 ? x : 0; }
inline double relu_squared(double x) { return relu(x) * relu(x); }
inline double swiglu_clamped(double gate, double up, double alpha, double limit) {
    double const g = std::min(gate, limit), u = std::clamp(up, -limit, limit);
    return (u + 1) * g * logistic(alpha * g);
}

// ---- functions of one row --------------------------------------------------------------------------

inline row softmax(row x) {
    double const top = x.empty() ? 0 : *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (double& v : x) sum += v = std::exp(v - top);
    for (double& v : x) v /= sum;
    return x;
}
inline row rms_norm(row const& x, row const& weight, double epsilon) {
    double squares = 0;
    for (double const v : x) squares += v * v;
    double const size = std::sqrt(squares / static_cast<double>(x.size()) + epsilon);
    row y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) y[i] = x[i] / size * weight[i];
    return y;
}
/// An empty bias adds nothing.
inline row layer_norm(row const& x, row const& weight, row const& bias, double epsilon) {
    auto const n = static_cast<double>(x.size());
    double sum = 0, squares = 0;
    for (double const v : x) sum += v;
    for (double const v : x) squares += (v - sum / n) * (v - sum / n);
    row y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
        y[i] = (x[i] - sum / n) / std::sqrt(squares / n + epsilon) * weight[i] +
               (bias.empty() ? 0 : bias[i]);
    return y;
}
/// Turns the pairs (x_i, x_{i + size/2}) of one head by position · base^(-2i/size). The frequency and
/// the angle are rounded to float, as the libraries do that trained models come from.
inline row rope(row const& x, std::size_t position, double base) {
    row y(x.size());
    std::size_t const half = x.size() / 2;
    for (std::size_t i = 0; i < half; ++i) {
        double const exact =
            std::pow(base, -2 * static_cast<double>(i) / static_cast<double>(x.size()));
        float const angle = static_cast<float>(position) * static_cast<float>(exact);
        double const c = std::cos(static_cast<double>(angle)),
                     s = std::sin(static_cast<double>(angle));
        y[i] = x[i] * c - x[i + half] * s;
        y[i + half] = x[i + half] * c + x[i] * s;
    }
    return y;
}

// ---- attention -------------------------------------------------------------------------------------

/// One query over the first `seen` keys and values: softmax(scale · K q)ᵀ V.
inline row attention(row const& query, matrix const& keys, matrix const& values, std::size_t seen,
                     double scale) {
    row scores(seen), out(values.cols);
    for (std::size_t s = 0; s < seen; ++s) scores[s] = scale * dot(query, keys.row_of(s));
    scores = softmax(scores);
    for (std::size_t s = 0; s < seen; ++s)
        for (std::size_t c = 0; c < values.cols; ++c) out[c] += scores[s] * values(s, c);
    return out;
}

// ---- the feed-forward expert -----------------------------------------------------------------------

/// A(gate, up) of a plain activation ignores `up` and gets the up projection as `gate`.
using activation = std::function<double(double gate, double up)>;

inline activation plain(double (*f)(double)) {
    return [f](double x, double) { return f(x); };
}
inline activation gated(double (*f)(double)) {
    return [f](double gate, double up) { return f(gate) * up; };
}

/// gate, up [hidden, model]; down [model, hidden]. Without a gate matrix it is plain; empty biases add
/// nothing.
struct ffn_weights {
    matrix gate, up, down;
    row gate_bias{}, up_bias{}, down_bias{};
};

inline matrix ffn(matrix const& x, ffn_weights const& w, activation const& act) {
    matrix inner = gemm(x, w.up, w.up_bias);
    bool const has_gate = w.gate.rows > 0;
    matrix const gate = has_gate ? gemm(x, w.gate, w.gate_bias) : inner;
    for (std::size_t i = 0; i < inner.all.size(); ++i)
        inner.all[i] = act(gate.all[i], inner.all[i]);
    return gemm(inner, w.down, w.down_bias);
}
inline row ffn(row const& x, ffn_weights const& w, activation const& act) {
    matrix one(1, x.size());
    one.all = x;
    return ffn(one, w, act).all;
}

} // namespace twin

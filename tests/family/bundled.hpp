// SPDX-License-Identifier: MIT
// The bundled model and the figures that came with it.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "io/files.hpp"
#include "prytany/family/qwen2_moe_decoder.hpp"
#include "prytany/io/checkpoint.hpp"
#include "prytany/io/safetensors.hpp"

namespace bundled {

using namespace prytany;

inline std::string const folder = PRYTANY_EXAMPLE_DATA "/bytes-moe-3m";
using bytes = std::vector<std::int32_t>;

template <auto Format = dense<float>{}, class Layer = family::qwen2_moe::layer<Format>>
auto model() {
    return family::qwen2_moe_decoder<Format, Layer>::load(
        io::checkpoint{folder}, family::config{std::filesystem::path(folder)});
}

inline nlohmann::json reference() {
    return nlohmann::json::parse(files::read(folder + "/reference.json"));
}
/// One tensor of reference.safetensors.
inline std::vector<float> expected(std::string const& name) {
    static io::safetensors const file(folder + "/reference.safetensors");
    io::stored const& s = *file.find(name);
    std::vector<float> all(static_cast<std::size_t>(s.count()));
    file.read(s, 0, all);
    return all;
}
inline bytes bytes_of(std::vector<float> const& from) { return {from.begin(), from.end()}; }
inline bytes bytes_of(std::string const& text) {
    bytes all;
    for (char const c : text) all.push_back(static_cast<unsigned char>(c));
    return all;
}
/// Prompt `i` with its greedy continuation.
inline bytes prompt(int i) { return bytes_of(expected("prompt_" + std::to_string(i) + ".bytes")); }

/// Logits of tokens that are fed in pieces of this size, [tokens, vocabulary].
template <class Model, class Executor>
std::vector<float> logits(Model const& model, bytes const& all, index_t piece, Executor&& pool,
                          typename Model::state& sequence, workspace& ws) {
    index_t const count = std::ssize(all), width = model.sizes().vocabulary;
    std::vector<float> out(static_cast<std::size_t>(count * width), std::nanf(""));
    for (index_t first = 0; first < count; first += piece) {
        index_t const some = std::min(piece, count - first);
        model.forward(
            std::span(all).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(some)),
            sequence, matrix_view<float>(out.data() + first * width, some, width), ws, pool);
    }
    return out;
}
template <class Model, class Executor>
std::vector<float> logits(Model const& model, bytes const& all, index_t piece, Executor&& pool) {
    typename Model::state sequence(model);
    workspace ws;
    return logits(model, all, piece, pool, sequence, ws);
}
template <class A, class B>
double worst(A const& got, B const& wanted) {
    double most = got.size() == wanted.size() ? 0 : INFINITY;
    for (std::size_t i = 0; i < wanted.size() && i < got.size(); ++i) {
        double const off = std::abs(static_cast<double>(got[i]) - static_cast<double>(wanted[i]));
        most = off <= most ? most : std::isnan(off) ? INFINITY : off;
    }
    return most;
}

} // namespace bundled

// SPDX-License-Identifier: MIT
// Bits per byte of a text, by the window rule, and the loads of its experts.
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "loads.hpp"
#include "model.hpp"
#include "progress.hpp"

#include "prytany/core/buffer.hpp"
#include "prytany/core/error.hpp"

namespace example {

inline constexpr index_t window = 256, byte_values = 256;

struct scored_text {
    std::string name;
    index_t bytes = 0;  ///< those in whole windows
    double bits = 0;    ///< per byte
    double seconds = 0; ///< of one window, the median
    loads experts;
    std::optional<double> reference{};
};

inline std::string read_text(std::string const& path) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    bool const folder = std::filesystem::is_directory(path);
    if (!file || folder)
        throw prytany::error(path, "a file that can be read",
                             folder       ? "a folder"
                             : errno == 0 ? "an error"
                                          : std::strerror(errno));
    std::string const all{std::istreambuf_iterator<char>(file), {}};
    if (file.bad()) throw prytany::error(path, "a file that can be read", std::strerror(errno));
    return all;
}

/// The bytes of a text as a model takes them.
inline std::vector<std::int32_t> bytes_of(std::string_view from) {
    std::vector<std::int32_t> bytes;
    for (char const c : from) bytes.push_back(static_cast<unsigned char>(c));
    return bytes;
}

inline double median(std::vector<double> values) {
    if (values.empty()) return 0;
    auto const middle = values.begin() + std::ssize(values) / 2;
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

/// −log2 of the probability that a row of logits gives to a byte.
inline double surprise(std::span<float const> logits, std::int32_t byte) {
    double const top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (float const logit : logits) sum += std::exp(static_cast<double>(logit) - top);
    return (std::log(sum) + top - static_cast<double>(logits[static_cast<std::size_t>(byte)])) /
           std::log(2.0);
}

/// The window rule: consecutive windows of 256 bytes, each fed alone from position 0; bytes 2 … 256
/// of each are predicted from those before them; a last shorter window is left out.
inline scored_text score(model& with, std::string name, std::string const& path, progress& bar) {
    auto const bytes = bytes_of(read_text(path));
    auto const windows = std::ssize(bytes) / window;
    if (windows == 0)
        throw prytany::error(path, "at least one window of 256 bytes",
                             std::to_string(bytes.size()) + " bytes");
    scored_text result{std::move(name), windows * window, 0, 0, loads(with.about())};
    prytany::buffer<float> memory(window * byte_values);
    prytany::matrix_view<float> const logits(memory.data(), window, byte_values);
    double bits = 0;
    std::vector<double> seconds;
    for (index_t w = 0; w < windows; ++w) {
        std::span const now(bytes.data() + w * window, static_cast<std::size_t>(window));
        with.restart();
        auto const start = std::chrono::steady_clock::now();
        with.feed(now, logits, result.experts);
        auto const spent = std::chrono::steady_clock::now() - start;
        seconds.push_back(std::chrono::duration<double>(spent).count());
        for (index_t i = 0; i + 1 < window; ++i)
            bits += surprise({logits.row(i), static_cast<std::size_t>(byte_values)},
                             now[static_cast<std::size_t>(i + 1)]);
        bar.advance(window);
    }
    result.seconds = median(std::move(seconds));
    result.bits = bits / static_cast<double>(windows * (window - 1));
    return result;
}

} // namespace example

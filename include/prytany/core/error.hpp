// SPDX-License-Identifier: MIT
// The one error type of the library.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Says in one sentence what was wrong, what was expected and what was got.
///
///     throw error{"model.layers.3.mlp.gate.weight", "[64, 2048]", "[60, 2048]"};
///     what() == "model.layers.3.mlp.gate.weight: expected [64, 2048], got [60, 2048]"
///
/// Throws    is thrown by construction, loading and saving; kernels never throw
/// Test      tests/core/error.test.cpp
class error : public std::runtime_error {
public:
    explicit error(std::string const& sentence) : std::runtime_error(sentence) {}
    error(std::string subject, std::string expected, std::string got)
        : std::runtime_error(subject + ": expected " + expected + ", got " + got),
          subject_(std::move(subject)), expected_(std::move(expected)), got_(std::move(got)) {}

    /// What was wrong: a tensor, a file, a parameter. Empty for a plain sentence.
    std::string const& subject() const noexcept { return subject_; }
    std::string const& expected() const noexcept { return expected_; }
    std::string const& got() const noexcept { return got_; }

private:
    std::string subject_, expected_, got_;
};

/// The sizes of a matrix as errors print them: "[rows, cols]".
inline std::string dims_text(index_t rows, index_t cols) {
    std::string text = "["; // g++ 12 -O3 warns of its own operator+ where the word comes first
    return text.append(std::to_string(rows)).append(", ").append(std::to_string(cols)) + "]";
}

} // namespace prytany::inline PRYTANY_ABI

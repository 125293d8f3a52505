// SPDX-License-Identifier: MIT
// A string as a template argument, and the trick that lets a concept explain itself.
#pragma once

#include <cstddef>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {

/// A string literal that may be a template argument.
template <std::size_t N>
struct text {
    char value[N]{};
    consteval text(char const (&literal)[N]) {
        for (std::size_t i = 0; i < N; ++i) value[i] = literal[i];
    }
};

/// Is false, and shows its sentence: both compilers print the template argument of a failed clause.
///
///     concept has_x = requires { … } || unsatisfied<"a router needs x: what to write">()
///
/// Test      tests/core/text.test.cpp, tests/must_fail
template <text Sentence>
consteval bool unsatisfied() {
    return false;
}

} // namespace prytany::inline PRYTANY_ABI

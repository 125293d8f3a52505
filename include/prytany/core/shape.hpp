// SPDX-License-Identifier: MIT
// The sizes of a layer: some fixed by the type, some known only at run time.
#pragma once

#include <string>
#include <type_traits>

#include "prytany/core/config.hpp"
#include "prytany/core/error.hpp"

namespace prytany::inline PRYTANY_ABI {

/// The type of a policy value: g++ 12 calls a class-type template argument const.
template <auto Value>
using kind_of = std::remove_const_t<decltype(Value)>;

/// The sizes of a Mixture-of-Experts layer; a member left out is `dynamic`.
///
///     shape{.model = 2048, .hidden = 1408, .experts = 64, .shared = 2}
///
/// `model` is the width of a token, `hidden` the inner width of one expert, `experts` their number.
/// `shared` experts run for every token, each `shared_hidden` wide (left out: `hidden`); several
/// are fused into one of `shared · shared_hidden`.
/// Test      tests/core/shape.test.cpp
struct shape {
    index_t model = dynamic;
    index_t hidden = dynamic;
    index_t experts = dynamic;
    index_t shared = 0;
    index_t shared_hidden = dynamic;

    friend constexpr bool operator==(shape const&, shape const&) = default;
};

/// The sizes of one layer object: static members fold to constants, dynamic ones are read.
///
/// Throws    error, if a dynamic member is not given, a given one differs from the static one, or a
///           size is out of range
/// Test      tests/core/shape.test.cpp
template <shape Fixed>
class extents {
public:
    explicit extents(shape given = Fixed)
        : model_(take(Fixed.model, given.model, 1, "shape.model")),
          hidden_(take(Fixed.hidden, given.hidden, 1, "shape.hidden")),
          experts_(take(Fixed.experts, given.experts, 1, "shape.experts")),
          shared_(take(Fixed.shared, given.shared, 0, "shape.shared")),
          shared_hidden_(take(Fixed.shared_hidden,
                              given.shared_hidden == dynamic && Fixed.shared_hidden == dynamic
                                  ? hidden_
                                  : given.shared_hidden,
                              1, "shape.shared_hidden")) {}

    constexpr index_t model() const noexcept { return pick(Fixed.model, model_); }
    constexpr index_t hidden() const noexcept { return pick(Fixed.hidden, hidden_); }
    constexpr index_t experts() const noexcept { return pick(Fixed.experts, experts_); }
    constexpr index_t shared() const noexcept { return pick(Fixed.shared, shared_); }
    constexpr index_t shared_hidden() const noexcept {
        return pick(Fixed.shared_hidden, shared_hidden_);
    }
    /// All sizes as plain data.
    constexpr shape all() const noexcept {
        return {model(), hidden(), experts(), shared(), shared_hidden()};
    }

private:
    // so that no product of two sizes overflows, whatever a file says
    static constexpr index_t largest = index_t{1} << 30;
    index_t model_, hidden_, experts_, shared_, shared_hidden_;

    static constexpr index_t pick(index_t fixed, index_t held) noexcept {
        return fixed != dynamic ? fixed : held;
    }
    static index_t take(index_t fixed, index_t given, index_t least, char const* name) {
        if (fixed != dynamic && given != dynamic && fixed != given)
            throw error(name, std::to_string(fixed), std::to_string(given));
        index_t const value = pick(fixed, given);
        if (value == dynamic) throw error(name, "a size, since it is dynamic", "none");
        if (value < least)
            throw error(name, "at least " + std::to_string(least), std::to_string(value));
        if (value > largest)
            throw error(name, "at most " + std::to_string(largest), std::to_string(value));
        return value;
    }
};

} // namespace prytany::inline PRYTANY_ABI

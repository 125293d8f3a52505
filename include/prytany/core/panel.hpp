// SPDX-License-Identifier: MIT
// The layout of packed weights that formats write and kernels read.
#pragma once

#include <concepts>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {

struct bf16;

/// Where output `lane` of a panel lies within one stored k-step of elements of type T.
///
///     bf16: outputs 0 … 3, W … W + 3, 4 … 7, W + 4 … W + 7, …  (W = lanes)      others: in order
///
/// Zeros interleaved with 128 bits of bf16 give four floats of each register, in one instruction.
/// Test      tests/core/panel.test.cpp
template <class T>
constexpr index_t lane_place(index_t lane) noexcept {
    if constexpr (std::same_as<T, bf16>) {
        index_t const in_register = lane % lanes;
        return in_register / 4 * 8 + lane / lanes * 4 + in_register % 4;
    } else return lane;
}

/// How the rows of one logical matrix lie among the packed rows of a store.
///
///     row r  →  first + (r / W) · W · parts + part · W + r mod W
///
/// A gate (part 0) and an up matrix (part 1) of two parts share panels: W gates and their W ups lie
/// in one, so an activation of both happens in registers. `first` puts matrices below each other.
/// Test      tests/core/panel.test.cpp
struct row_map {
    index_t part = 0, parts = 1, first = 0;

    constexpr index_t operator()(index_t row) const noexcept {
        return first + row / lanes * lanes * parts + part * lanes + row % lanes;
    }
    /// The packed rows that `rows` logical rows of every part take.
    constexpr index_t packed_rows(index_t rows) const noexcept {
        return parts == 1 ? rows : (rows + lanes - 1) / lanes * lanes * parts;
    }
};

} // namespace prytany::inline PRYTANY_ABI

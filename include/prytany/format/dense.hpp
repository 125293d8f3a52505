// SPDX-License-Identifier: MIT
// Weights kept as plain numbers: float, bf16 or f16, in panels.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <new>
#include <span>
#include <string_view>

#include "prytany/core/buffer.hpp"
#include "prytany/core/panel.hpp"
#include "prytany/core/scalar.hpp"
#include "prytany/format/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// The format that keeps every weight as a number of type T.
///
///     moe<…, dense<bf16>{}>
///
/// Models    weight_format, layer_option
/// Compile   T
/// Test      tests/format/dense.test.cpp
template <scalar T>
struct dense {
    static_assert(sizeof(T) <= sizeof(float), "dense: kernels compute in float; keep weights as "
                                              "float, bf16 or f16");
    using aspect = format_aspect;
    using element = T;
    static constexpr std::string_view name() noexcept {
        if constexpr (std::same_as<T, bf16>) return "bf16";
        else if constexpr (std::same_as<T, f16>) return "f16";
        else return "f32";
    }
    friend constexpr bool operator==(dense const&, dense const&) = default;
};

/// A matrix [rows = outputs, cols = inputs] in panels of `panel_lanes` outputs, k-major.
///
///     panel p, step k:   W[p · panel + lane, k]  for lane = 0 … panel - 1
///
/// One token and many tokens read the same panels in the same order. Rows are filled up with zeros
/// to a whole panel.
/// Throws    std::bad_alloc
/// Test      tests/format/dense.test.cpp
template <scalar T, dense<T> Format>
class packed<Format> {
public:
    using element = T;

    packed() = default;
    packed(index_t rows, index_t cols) { resize(rows, cols); }

    /// Sets the sizes; all weights become zero.
    void resize(index_t rows, index_t cols) {
        rows_ = rows;
        cols_ = cols;
        panels_ = (rows + panel_lanes - 1) / panel_lanes;
        constexpr index_t most = std::numeric_limits<index_t>::max() / panel_lanes;
        if (cols > 0 && panels_ > most / cols) throw std::bad_alloc();
        steps_ = buffer<element>(panels_ * cols * panel_lanes);
    }
    /// Writes one row, rounding each weight once.
    void pack(index_t row, std::span<float const> from) noexcept {
        element* to = place(row);
        for (index_t k = 0; k < cols_; ++k)
            to[k * panel_lanes] = static_cast<element>(from[static_cast<std::size_t>(k)]);
    }
    void unpack(index_t row, std::span<float> to) const noexcept {
        element const* from = const_cast<packed*>(this)->place(row);
        for (index_t k = 0; k < cols_; ++k)
            to[static_cast<std::size_t>(k)] = static_cast<float>(from[k * panel_lanes]);
    }
    element const* panel(index_t p) const noexcept {
        return steps_.data() + p * cols_ * panel_lanes;
    }
    /// From one panel to the next.
    index_t stride() const noexcept { return cols_ * panel_lanes; }
    index_t rows() const noexcept { return rows_; }
    index_t cols() const noexcept { return cols_; }
    index_t panels() const noexcept { return panels_; }
    /// What streaming the whole matrix reads.
    index_t bytes() const noexcept { return steps_.size() * static_cast<index_t>(sizeof(element)); }

private:
    buffer<element> steps_;
    index_t rows_ = 0, cols_ = 0, panels_ = 0;

    element* place(index_t row) noexcept {
        index_t const lane = row % panel_lanes;
        return steps_.data() + (row / panel_lanes) * cols_ * panel_lanes +
               lane_place<element>(lane);
    }
};

} // namespace prytany::inline PRYTANY_ABI

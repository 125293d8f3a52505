// SPDX-License-Identifier: MIT
// A token's slots by weight, and their sum.
#pragma once

#include <span>
#include <utility>

#include "prytany/core/plan.hpp"
#include "prytany/kernel/select.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// Larger for a larger weight; of equal ones for the lower expert number; NaN is last.
inline std::uint64_t weight_key(slot const& s) noexcept {
    return kernel::rank_key(s.weight, s.expert);
}
/// By falling weight.
inline void sort_by_weight(std::span<slot> slots) noexcept {
    for (std::size_t i = 1; i < slots.size(); ++i)
        for (std::size_t j = i; j > 0 && weight_key(slots[j - 1]) < weight_key(slots[j]); --j)
            std::swap(slots[j - 1], slots[j]);
}
inline double sum_of(std::span<slot const> slots) noexcept {
    double sum = 0;
    for (slot const& s : slots) sum += double{s.weight};
    return sum;
}
/// Scales weights so that they sum to `sum`; a sum that is kept, or that is not > 0, stays.
inline void scale_to(std::span<slot> slots, double sum) noexcept {
    double const now = sum_of(slots);
    if (!(now > 0) || now == sum) return;
    for (slot& s : slots) s.weight = static_cast<float>(s.weight / now * sum);
}

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI

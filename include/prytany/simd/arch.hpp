// SPDX-License-Identifier: MIT
// What the instruction set of this translation unit offers.
#pragma once

// g++ 12 takes the undefined operands of its own AVX-512 intrinsics for a mistake of ours.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <xsimd/xsimd.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace simd {

static_assert(lanes == static_cast<index_t>(xsimd::batch<float>::size),
              "simd: the panels and xsimd disagree on the width of a register");

} // namespace simd
} // namespace prytany::inline PRYTANY_ABI

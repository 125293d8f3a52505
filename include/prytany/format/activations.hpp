// SPDX-License-Identifier: MIT
// What a product does to the rows it reads.
#pragma once

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {

/// How a format's products see activations: as they are, or rounded to integers once for a call.
///
/// Nothing is rounded unless a format says so: `int8_rows{.activations = activations::int16}`. A
/// rounded row x has one scale s = max|x| / most; its error is at most s / 2 an element, and
/// a rounding of the float x / s:
///
///     float32   no error
///     int16     s = max|x| / 32767
///     int8      s = max|x| / 127
///
/// A row with a NaN or an infinity gives NaN everywhere; no other row changes.
/// Test      tests/kernel/rounded.test.cpp
enum class activations { float32, int16, int8 };

} // namespace prytany::inline PRYTANY_ABI

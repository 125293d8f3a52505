// SPDX-License-Identifier: MIT
// The aspects of a layer that an option may set, one tag each.
#pragma once

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {

/// How expert weights are stored.
struct format_aspect;
/// How the weights of shared experts are stored, where that differs.
struct shared_format_aspect;
/// Where a slot's weight acts: on the output, on the input, nowhere.
struct gate_aspect;
/// Whether a learned sigmoid weighs the shared experts.
struct shared_gate_aspect;
/// How many tokens an expert takes at most, and who is dropped.
struct capacity_aspect;

} // namespace prytany::inline PRYTANY_ABI

// SPDX-License-Identifier: MIT
// What a file may ask of its reader.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// The most that a file may ask for: one that asks for more is an error, before memory is taken
/// for it.
///
/// Test      tests/io/limits.test.cpp
struct limits {
    index_t header_bytes = 100'000'000; // the format's own
    index_t tensors = 1'000'000;
    index_t name_bytes = 4096;
    index_t dims = 64;
    index_t metadata = 10'000; // entries
};

/// Texts of a file by their name.
using string_map = std::map<std::string, std::string, std::less<>>;

} // namespace io
} // namespace prytany::inline PRYTANY_ABI

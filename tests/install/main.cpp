// SPDX-License-Identifier: MIT
// The least consumer of the library.
#include <prytany/core/error.hpp>
#include <prytany/simd/batch.hpp>

int main() { return prytany::error{"weight", "4", "3"}.got() == "3" ? 0 : 1; }

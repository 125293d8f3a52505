// SPDX-License-Identifier: MIT
// Compiled twice, for two processors; UNIT is the name of its one function.
#include <prytany/core/error.hpp>
#include <prytany/core/shape.hpp>

float UNIT();

float UNIT() {
    prytany::error const wrong{"weight", prytany::dims_text(2, 3), prytany::dims_text(3, 2)};
    return static_cast<float>(wrong.got().size());
}

// SPDX-License-Identifier: MIT
// What nearly every test includes, compiled once.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "prytany/simd/mask.hpp"
#include "prytany/simd/math.hpp"
#include "prytany/simd/words.hpp"
#include "support/catch.hpp"

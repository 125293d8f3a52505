// SPDX-License-Identifier: MIT
// Includes a higher floor and a library of another folder, and defines a macro.
#pragma once

#include <xsimd/xsimd.hpp>

#include "prytany/router/top.hpp"

#define PRYTANY_HELPER 1

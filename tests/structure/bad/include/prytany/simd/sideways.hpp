// SPDX-License-Identifier: MIT
// Includes a neighbour on its own floor.
#pragma once

#include "prytany/exec/pool.hpp"

namespace prytany::inline PRYTANY_ABI {}

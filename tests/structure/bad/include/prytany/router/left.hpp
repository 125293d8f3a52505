// SPDX-License-Identifier: MIT
// One half of a cycle.
#pragma once

#include "prytany/router/right.hpp"

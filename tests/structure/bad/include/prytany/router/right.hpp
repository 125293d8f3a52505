// SPDX-License-Identifier: MIT
// The other half of a cycle.
#pragma once

#include "prytany/router/left.hpp"

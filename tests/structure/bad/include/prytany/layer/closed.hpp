// SPDX-License-Identifier: MIT
// Knows one router by name.
#pragma once

#include "prytany/router/top.hpp"

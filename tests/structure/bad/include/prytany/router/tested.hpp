// SPDX-License-Identifier: MIT
// Breaks no rule; a comment may say #define X and concept y = z and include nothing.
#pragma once

#include "prytany/router/detail/part.hpp"

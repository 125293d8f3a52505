// SPDX-License-Identifier: MIT
// A concept that does not explain itself.
#pragma once

template <class P> concept router_policy = true;

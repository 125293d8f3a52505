// SPDX-License-Identifier: MIT
// Private: needs no test of its own.
#pragma once

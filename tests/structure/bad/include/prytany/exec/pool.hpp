// SPDX-License-Identifier: MIT
// Is all right but for its missing test.
#pragma once

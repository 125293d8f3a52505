// SPDX-License-Identifier: MIT
// Stands for a test.

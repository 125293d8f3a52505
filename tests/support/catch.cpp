// SPDX-License-Identifier: MIT
// Holds nothing: the header of Catch is precompiled with it, once for all tests.

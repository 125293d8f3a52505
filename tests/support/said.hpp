// SPDX-License-Identifier: MIT
// What the library says when a call is wrong.
#pragma once

#include <string>

#include "prytany/core/error.hpp"

namespace support {

/// The sentence of the error that f throws; empty if it throws none.
template <class F>
std::string said(F&& f) {
    try {
        f();
    } catch (prytany::error const& e) {
        return e.what();
    }
    return {};
}

} // namespace support
